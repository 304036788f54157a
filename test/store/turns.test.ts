import { expect, test } from "bun:test";
import { createTurns } from "../../src/store/turns.ts";

test("turns come one after the other, in the order in which they were asked for, whatever becomes of each", async () => {
  const turns = createTurns();
  const seen: string[] = [];
  const first = Promise.withResolvers<void>();
  const work = async (name: string, until?: Promise<void>): Promise<string> => {
    seen.push(`${name} begins`);
    await until;
    seen.push(`${name} ends`);
    if (name === "second") throw new Error("broken");
    return name;
  };
  expect(turns.areFree()).toBe(true);
  const all = Promise.allSettled([
    turns.take(() => work("first", first.promise)),
    turns.take(() => work("second")),
    turns.take(() => work("third")),
  ]);
  expect(turns.areFree()).toBe(false);
  first.resolve();
  expect((await all).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(seen).toEqual(["first", "second", "third"].flatMap((n) => [`${n} begins`, `${n} ends`]));
  expect(turns.areFree()).toBe(true);
});

test("nobody gets in between a turn that ends and the one that waits for it", async () => {
  const turns = createTurns();
  const seen: string[] = [];
  await turns.begin();
  const waiting = turns.take(async () => seen.push("waited"));
  turns.end();
  expect(turns.areFree()).toBe(false);
  const late = turns.take(async () => seen.push("came late"));
  await Promise.all([waiting, late]);
  expect(seen).toEqual(["waited", "came late"]);
});
