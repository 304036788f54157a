import { expect, test } from "bun:test";
import { ForgeFailure } from "../../src/ports/forge.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { resolveMarks } from "../../src/work/resolve-marks.ts";
import {
  issueMark,
  itemRef,
  NOON,
  openStoreWorld,
  type StoreWorld,
} from "../support/store-world.ts";
import { policyWith } from "../support/world.ts";

const REPO = itemRef(1).repo;

type LookUp = (number: number) => Promise<void>;

function work({ store, clock }: StoreWorld, lookUp: LookUp) {
  const logged: unknown[] = [];
  const asked: number[] = [];
  const suspected: string[] = [];
  const deps = {
    store,
    gates: { suspect: async (name: string) => suspected.push(name) },
    policy: () => policyWith(),
    forge: {
      reader: {
        lookUp: async (_: string, number: number) => {
          asked.push(number);
          await lookUp(number);
          return { kind: "issue", number };
        },
      },
    },
    now: () => clock.now,
    chance: () => 0.5,
    log: { warn: (_: string, fields: unknown) => logged.push(fields) },
  } as unknown as WorkDependencies;
  return { deps, logged, asked, suspected };
}

test("a mark that waits for a slow answer holds up no other", async () => {
  await using world = await openStoreWorld();
  const slow = Promise.withResolvers<void>();
  const rest = Promise.withResolvers<void>();
  let [open, most] = [0, 0];
  const { deps, asked } = work(world, async (number) => {
    open += 1;
    most = Math.max(most, open);
    if (number === 1) await slow.promise;
    open -= 1;
    if (asked.length === 20) rest.resolve();
  });
  const marks = Array.from({ length: 20 }, (_, index) => issueMark(index + 1));
  await world.store.work.mark(marks, true);
  const resolving = resolveMarks(deps);
  await rest.promise;
  expect(await world.store.work.item(itemRef(1))).toBeNull();
  expect(most).toBeLessThanOrEqual(8);
  slow.resolve();
  expect(await resolving).toBe(20);
  expect(await world.store.work.unresolved(50)).toEqual([]);
  expect(await world.store.work.item(itemRef(1))).not.toBeNull();
});

test("a mark without an answer is asked about later and later, and the others at once", async () => {
  await using world = await openStoreWorld();
  let fails = true;
  const { deps, asked, logged } = work(world, async (number) => {
    if (number === 1 && fails) throw new ForgeFailure("unavailable", "GET: away");
  });
  const waits: number[] = [];
  await world.store.work.mark([issueMark(1)], true);
  for (let attempt = 1; attempt <= 8; attempt += 1) {
    await world.store.work.mark([issueMark(1), issueMark(100 + attempt)], true);
    await resolveMarks(deps);
    expect(await world.store.work.item(itemRef(100 + attempt))).not.toBeNull();
    // Not yet: whatever marks come meanwhile.
    expect(await resolveMarks(deps)).toBe(0);
    const start = world.clock.now;
    while ((await world.store.work.unresolved(1)).length === 0) world.clock.now += 500;
    waits.push((world.clock.now - start) / 1000);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  expect(asked.filter((number) => number === 1)).toHaveLength(8);
  expect(logged.at(-1)).toMatchObject({ target: "#1", attempt: 8 });
  fails = false;
  await resolveMarks(deps);
  expect(await world.store.work.item(itemRef(1))).not.toBeNull();
});

test("an answer that names its time is not asked for before it, if that is soon", async () => {
  await using world = await openStoreWorld();
  const retryAt = NOON + 30_000;
  const { deps } = work(world, async () => {
    throw new ForgeFailure("rate_limited", "GET: wait", { retryAt });
  });
  await world.store.work.mark([issueMark(1)], true);
  await resolveMarks(deps);
  world.clock.now = retryAt - 1;
  expect(await world.store.work.unresolved(1)).toEqual([]);
  world.clock.now = retryAt;
  expect(await world.store.work.unresolved(1)).toHaveLength(1);
});

test.each([
  ["unavailable", ["forge", "forge"]],
  ["rate_limited", ["forge", "forge"]],
  ["auth", ["forge", "forge"]],
  ["malformed", []],
] as const)(
  "a mark that has stayed without an answer three times (%s) makes the forge itself suspect: %j",
  async (kind, expected) => {
    await using world = await openStoreWorld();
    const { deps, suspected } = work(world, async () => {
      throw new ForgeFailure(kind, "GET: away");
    });
    await world.store.work.mark([issueMark(1)], true);
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      if (attempt === 3) expect(suspected).toEqual([]);
      await resolveMarks(deps);
      while ((await world.store.work.unresolved(1)).length === 0) world.clock.now += 500;
    }
    expect(suspected).toEqual([...expected]);
  },
);

test("a number that becomes known while the forge says it is not there keeps its mark", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const branch = { repo: REPO, target: { kind: "branch", branch: "boss/1-work" } } as const;
  const { deps } = work(world, async () => {
    const rows = await store.work.unresolved(10);
    const row = rows.find(({ mark }) => mark.target.kind === "branch");
    if (row === undefined) throw new Error("the branch is not marked");
    await store.work.resolve([{ row, items: [itemRef(1)] }]);
    throw new ForgeFailure("not_found", "GET: no such number");
  });
  await store.work.mark([issueMark(1)], true);
  const resolving = resolveMarks(deps);
  await store.work.mark([branch], true);
  await resolving;
  expect(await store.work.unresolved(10)).toEqual([]);
  expect(await store.work.claimReconcile("me", 1000)).toMatchObject({ item: itemRef(1), mark: 2 });
});
