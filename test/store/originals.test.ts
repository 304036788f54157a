import { expect, test } from "bun:test";
import { Kysely } from "kysely";
import { bunSqliteDialect } from "../../src/store/bun-sqlite-dialect.ts";
import { createOriginals, findTwins } from "../../src/store/originals.ts";
import type { Tables } from "../../src/store/tables.ts";
import { aDelivery, NOON } from "../support/store-world.ts";

const MINUTE_MS = 60_000;

/** Which of `ids` are twins after one of each body was committed, a minute after the other. */
async function twinsAfter(ids: readonly string[], keptMax: number): Promise<readonly string[]> {
  const db = new Kysely<Tables>({ dialect: bunSqliteDialect(":memory:") });
  const clock = { now: NOON };
  const originals = createOriginals({ db, now: () => clock.now }, keptMax);
  const stored = await originals.read(async () => [], []);
  for (const id of ids) {
    clock.now += MINUTE_MS;
    originals.remember([aDelivery(id, { receivedAt: clock.now })]);
  }
  const again = ids.map((id) => {
    const { bodySha256 } = aDelivery(id);
    return aDelivery(`${id}-again`, { receivedAt: clock.now, bodySha256 });
  });
  await db.destroy();
  return [...findTwins(again, stored).values()];
}

test.each([
  ["so many are kept", ["a", "b", "c"], 2, ["b", "c"]],
  [
    "of five minutes are kept",
    ["a", "b", "c", "d", "e", "f", "g"],
    99,
    ["b", "c", "d", "e", "f", "g"],
  ],
  ["one that comes again is among the newest", ["a", "b", "a"], 2, ["b", "a"]],
] as const)("in memory no more originals than %s", async (_name, ids, keptMax, twins) => {
  expect((await twinsAfter(ids, keptMax)).toSorted()).toEqual([...twins].toSorted());
});
