import { expect, test } from "bun:test";
import { ForgeFailure, type ForgeFailureKind } from "../../src/ports/forge.ts";
import type { Log } from "../../src/ports/observe.ts";
import { createAdministrators } from "../../src/work/administrators.ts";

function world(answer: (agent: string) => boolean | ForgeFailureKind) {
  const said: string[] = [];
  const audited: unknown[] = [];
  const asked: string[] = [];
  const clock = { now: 1_000_000 };
  const ignore = () => undefined;
  const log: Log = {
    ...{ debug: ignore, info: ignore, error: ignore },
    warn: (message) => void said.push(message),
  };
  const administrators = createAdministrators({
    agents: () => [{ name: "boss" }, { name: "reviewer" }],
    isAdministrator: async (agent) => {
      asked.push(agent);
      const given = answer(agent);
      if (typeof given === "string") throw new ForgeFailure(given, "no");
      return given;
    },
    now: () => clock.now,
    log,
    audit: { append: (kind, fields) => void audited.push({ kind, ...fields }) },
  });
  return { administrators, said, audited, asked, clock };
}

test("who administrates is asked of each agent, kept for ten minutes, and said when it changes", async () => {
  let isAdministrator = true;
  const { administrators, said, audited, asked, clock } = world(
    (agent) => agent === "boss" && isAdministrator,
  );
  expect(await administrators.of("acme/widgets")).toEqual(["boss"]);
  clock.now += 9 * 60_000;
  expect(await administrators.of("acme/widgets")).toEqual(["boss"]);
  expect(asked).toEqual(["boss", "reviewer"]);
  expect(administrators.known()).toEqual([{ repo: "acme/widgets", agent: "boss" }]);

  isAdministrator = false;
  clock.now += 2 * 60_000;
  expect(await administrators.of("acme/widgets")).toEqual([]);
  expect(said).toHaveLength(1);
  expect(audited).toEqual([
    { kind: "administrators", repo: "acme/widgets", agents: ["boss"] },
    { kind: "administrators", repo: "acme/widgets", agents: [] },
  ]);
});

test.each<[ForgeFailureKind, boolean]>([
  ["not_found", true],
  ["forbidden", true],
  ["malformed", true],
  ["unavailable", false],
  ["rate_limited", false],
  ["auth", false],
])("an answer %s is an answer: %p", async (kind, isAnswer) => {
  const { administrators } = world(() => kind);
  const answer = administrators.of("acme/widgets");
  if (isAnswer) expect(await answer).toEqual([]);
  else await expect(answer).rejects.toMatchObject({ kind });
});
