import { describe, expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../../src/ports/observe.ts";
import { diskLimits, makeRoom } from "../../src/work/make-room.ts";
import { commit, IDENTITY, sh, until, type Workbench, workbench } from "../git/workbench.ts";
import {
  anEnd,
  anOrder,
  aStart,
  claimRun,
  itemRef,
  NOON,
  openStoreWorld,
  orderRun,
  type StoreWorld,
} from "../support/store-world.ts";

const MB = 1_000_000;
const ignore = () => undefined;
const LOG: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** A clone of 5 MB whose last run ended then; `waits`: another order of its item waits. */
async function cloneOf(
  bench: Workbench,
  { store }: StoreWorld,
  clone: { number: number; endedAt: number; waits?: boolean; repo?: string },
): Promise<string> {
  const { number, endedAt } = clone;
  const item = itemRef(number);
  const order = { agent: "boss", base: "main", branch: `boss/${number}`, at: null };
  const { path } = await bench.git.prepare({
    ...order,
    item,
    identity: IDENTITY,
    run: `p${number}`,
  });
  await writeFile(join(path, "big.bin"), Buffer.alloc(5 * MB, number));
  await store.ledger.cloneMade(item, "boss");
  await orderRun(store, number, anOrder({ fingerprint: `first ${number}` }));
  const claim = await claimRun(store);
  const id = `r${number}`;
  await store.runs.start(claim, aStart(id, claim));
  await store.runs.end(anEnd(id, { endedAt }));
  await store.work.settleRun(claim, { notBefore: null, park: null });
  const settle = await store.work.claimReconcile("me", 30_000);
  if (settle === null) throw new Error("nothing to settle");
  const next = clone.waits === true ? anOrder({ fingerprint: `next ${number}` }) : null;
  await store.work.settleReconcile(settle, {
    ...{ decision: "nothing", reason: "", lookAgainAt: null, snapshot: null, pull: null },
    ...{ state: next === null ? "idle" : "waiting", order: next, parks: [] },
  });
  return path;
}

const isThere = async (path: string): Promise<boolean> =>
  await Bun.file(join(path, "big.bin")).exists();

/** Looked at for longer than a spare takes to be begun. */
async function isNever(isSo: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + 1_000;
  while (performance.now() < end) {
    if (await isSo()) return false;
    await Bun.sleep(10);
  }
  return true;
}

describe("making room", () => {
  test("removes those first that finished the longest ago, and only as many as need be", async () => {
    await using bench = await workbench();
    await using world = await openStoreWorld();
    const newest = await cloneOf(bench, world, { number: 1, endedAt: NOON + 3000 });
    const oldest = await cloneOf(bench, world, { number: 2, endedAt: NOON + 1000 });
    const middle = await cloneOf(bench, world, { number: 3, endedAt: NOON + 2000 });
    const sha = await commit(oldest, { "work.txt": "mine\n" }, "Not pushed");
    const { total } = await bench.git.sizes();
    const deps = { git: bench.git, store: world.store, log: LOG };

    expect(await makeRoom(deps, { all: total, repository: null })).toMatchObject({ removed: 0 });
    expect(await makeRoom(deps, { all: total - MB, repository: null })).toEqual({
      removed: 1,
      excess: 0,
    });

    expect(await Promise.all([oldest, middle, newest].map(isThere))).toEqual([false, true, true]);
    expect((await world.store.ledger.read(itemRef(2))).leftovers.clones).toBe(0);
    const cache = join(bench.stateDir, "cache/acme/widgets.git");
    expect(await sh(cache, ["rev-parse", "refs/claude-hooks/removed-boss-2"])).toBe(sha);
  });

  test("spares what is in use, takes what an order waits for last, and says what is still too much", async () => {
    await using bench = await workbench();
    await using world = await openStoreWorld();
    const inUse = await cloneOf(bench, world, { number: 1, endedAt: NOON + 1000 });
    const finished = await cloneOf(bench, world, { number: 3, endedAt: NOON + 3000 });
    const waitedFor = await cloneOf(bench, world, { number: 2, endedAt: NOON + 2000, waits: true });
    const use = await bench.git.use(itemRef(1), "boss");
    const { total } = await bench.git.sizes();
    const deps = { git: bench.git, store: world.store, log: LOG };

    await makeRoom(deps, { all: total - MB, repository: null });
    expect(await Promise.all([inUse, waitedFor, finished].map(isThere))).toEqual([
      true,
      true,
      false,
    ]);
    const { removed, excess } = await makeRoom(deps, { all: MB, repository: null });
    expect(removed).toBe(1);
    expect(excess).toBeGreaterThan(4 * MB);
    expect(await Promise.all([inUse, waitedFor].map(isThere))).toEqual([true, false]);
    use.release();
    expect((await makeRoom(deps, { all: MB, repository: null })).removed).toBe(1);
  });

  test("removes the spare work tree before any clone, and lets none be made while there is no room", async () => {
    await using bench = await workbench({ spareAfterMs: 0 });
    await using world = await openStoreWorld();
    const clone = await cloneOf(bench, world, { number: 1, endedAt: NOON });
    const isSpared = async () => (await bench.git.sizes()).spares.length === 1;
    await until(isSpared);
    const deps = { git: bench.git, store: world.store, log: LOG };
    const isHalf = async () => (await readdir(join(bench.stateDir, "work/.spare"))).length > 1;
    const { total, repositories, spares } = await bench.git.sizes();
    const bytes = spares[0]?.bytes ?? 0;
    expect(spares).toEqual([{ repo: "acme/widgets", bytes: expect.any(Number) }]);
    expect(bytes).toBeGreaterThan(0);

    const ofRepository = repositories.get("acme/widgets") ?? 0;
    const limits = { all: 1000 * MB, repository: ofRepository - 1 };
    expect(await makeRoom(deps, limits)).toEqual({ removed: 0, excess: 0 });

    const after = await bench.git.sizes();
    expect(after.spares).toEqual([]);
    expect(after.repositories.get("acme/widgets")).toBeLessThan(ofRepository);
    expect(total - after.total).toBeGreaterThanOrEqual(bytes);
    expect(await isThere(clone)).toBe(true);
    await bench.git.prepare(bench.order({ agent: "reviewer" }));
    expect(await isNever(isHalf)).toBe(true);

    // With room for one more of the largest clones it is allowed again.
    await makeRoom(deps, { all: 1000 * MB, repository: 100 * MB });
    await bench.git.prepare(bench.order({ agent: "merger" }));
    await until(isSpared);
  }, 30_000);

  test("of one repository leaves the others alone", async () => {
    await using bench = await workbench();
    await using world = await openStoreWorld();
    const path = await cloneOf(bench, world, { number: 1, endedAt: NOON });
    const deps = { git: bench.git, store: world.store, log: LOG };

    expect(await makeRoom(deps, { all: 1000 * MB, repository: 20 * MB })).toEqual({
      removed: 0,
      excess: 0,
    });
    expect(await makeRoom(deps, { all: 1000 * MB, repository: 3 * MB })).toEqual({
      removed: 1,
      excess: 0,
    });
    expect(await isThere(path)).toBe(false);
  });
});

test("a GB of the configuration has 10^9 bytes", () => {
  expect(diskLimits({ diskGb: 20, diskGbPerRepository: null })).toEqual({
    all: 20_000_000_000,
    repository: null,
  });
  expect(diskLimits({ diskGb: 0.5, diskGbPerRepository: 0.1 })).toEqual({
    all: 500_000_000,
    repository: 100_000_000,
  });
});
