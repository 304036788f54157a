import { expect, test } from "bun:test";
import { tellTrouble } from "../../src/work/tell-trouble.ts";

const NOON = Date.UTC(2026, 9, 1, 12);

function troubleWorld() {
  const said: string[] = [];
  const clock = { now: NOON };
  const ignore = () => undefined;
  const log = {
    debug: ignore,
    warn: ignore,
    info: (text: string) => said.push(text),
    error: (text: string, fields: object = {}) => {
      const { reason } = fields as { reason: string };
      said.push(`${text}: ${reason.split("\n")[0]}`);
    },
  };
  const trouble = tellTrouble(
    { log, now: () => clock.now },
    { broke: "it broke", over: "it goes" },
  );
  return { trouble, said, clock };
}

test("what never breaks is not told of", () => {
  const { trouble, said } = troubleWorld();

  trouble.went();

  expect(said).toEqual([]);
});

test("another reason is told at once", () => {
  const { trouble, said } = troubleWorld();

  trouble.broke(new Error("full"));
  trouble.broke(new Error("full"));
  trouble.broke(new Error("away"));
  trouble.went();
  trouble.went();

  expect(said).toEqual(["it broke: Error: full", "it broke: Error: away", "it goes"]);
});

test("what breaks and goes in turns is told of no more often than what only breaks", () => {
  const { trouble, said, clock } = troubleWorld();

  for (let second = 0; second < 120; second += 1) {
    trouble.broke(new Error("full"));
    trouble.went();
    clock.now += 1000;
  }

  expect(said).toEqual(["it broke: Error: full", "it goes", "it broke: Error: full", "it goes"]);
});
