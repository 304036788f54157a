import { expect, test } from "bun:test";
import type { Park } from "../../src/domain/ledger.ts";
import {
  anOrder,
  aResult,
  aSnapshot,
  claimReconcile,
  claimRun,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
} from "../support/store-world.ts";

test("settling writes what came of it, clears the mark that was read and frees the item", async () => {
  await using world = await openStoreWorld();
  const { work, ledger } = world.store;
  const park: Park = { row: "implement", name: "money", reason: "wait", until: 5, since: 4 };
  await markItem(world.store, 42);
  const claim = await claimReconcile(world.store);

  const settled = await work.settleReconcile(
    claim,
    aResult({
      decision: "park",
      reason: "no money",
      state: "parked",
      lookAgainAt: NOON + 5000,
      snapshot: aSnapshot(42),
      pull: 43,
      parks: [park],
    }),
  );

  expect(settled).toBe(true);
  expect(await work.item(itemRef(42))).toEqual({
    repo: "acme/widgets",
    number: 42,
    pull: 43,
    state: "parked",
    decision: "park",
    reason: "no money",
    retryAt: NOON + 5000,
    waitsFor: null,
    usd: 0,
  });
  expect(await work.snapshot(itemRef(42))).toEqual(aSnapshot(42));
  expect((await ledger.read(itemRef(42))).parks).toEqual([park]);
  expect(await work.claimReconcile("me", 1000)).toBeNull();
  expect(await work.nextDue()).toBe(NOON + 5000);
});

test("a reconcile without a snapshot keeps the one of before, and the pull request", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const first = aResult({ snapshot: aSnapshot(42), pull: 43 });
  await work.settleReconcile(await claimReconcile(world.store), first);
  await markItem(world.store, 42);

  await work.settleReconcile(await claimReconcile(world.store), aResult());

  expect(await work.snapshot(itemRef(42))).toEqual(aSnapshot(42));
  expect((await work.item(itemRef(42)))?.pull).toBe(43);
});

test("a mark that comes during the reconcile is looked at afterwards", async () => {
  await using world = await openStoreWorld();
  await markItem(world.store, 42);
  const claim = await claimReconcile(world.store);
  await markItem(world.store, 42);
  expect(await world.store.work.claimReconcile("other", 1000)).toBeNull();

  await world.store.work.settleReconcile(claim, aResult());

  expect((await claimReconcile(world.store)).item).toEqual(itemRef(42));
});

test("look_again_at makes an item due at its time and not before", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const later = aResult({ lookAgainAt: NOON + 20_000 });
  await work.settleReconcile(await claimReconcile(world.store), later);

  world.clock.now = NOON + 19_999;
  const early = await work.claimReconcile("me", 1000);
  world.clock.now = NOON + 20_000;
  const due = await work.claimReconcile("me", 1000);

  expect(early).toBeNull();
  expect(due?.item).toEqual(itemRef(42));
  expect(await work.nextDue()).toBe(NOON + 21_000);
});

test("a claim tells what was decided when its item was looked at last, of a new one that nothing was", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const first = await claimReconcile(world.store);
  await work.settleReconcile(first, aResult({ decision: "nothing", reason: "it is closed" }));
  await markItem(world.store, 42);
  const second = await claimReconcile(world.store);

  expect(first.last).toEqual({ decision: "none", reason: "not looked at yet" });
  expect(second.last).toEqual({ decision: "nothing", reason: "it is closed" });
});

test("what has been due the longest goes first, a mark before a time of the same moment, and what a lost lease took before both", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  // Their times come at the moment at which the mark does.
  for (const number of [1, 2]) {
    await markItem(world.store, number);
    const soon = aResult({ lookAgainAt: NOON + 10 });
    await work.settleReconcile(await claimReconcile(world.store), soon);
  }
  world.clock.now = NOON + 10;
  await markItem(world.store, 3, false);
  // Its mark was taken by a lease that ran out: it has no time of its own any more.
  await markItem(world.store, 4, false);
  await world.raw("update item set marked_at = null, marked_seq = null where number = 4");

  const order = [];
  for (let claims = 0; claims < 4; claims += 1) {
    order.push((await claimReconcile(world.store)).item.number);
  }

  expect(order).toEqual([4, 3, 1, 2]);
});

test("a sweep of many marks does not starve an item whose time has come", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const soon = aResult({ lookAgainAt: NOON + 10 });
  await work.settleReconcile(await claimReconcile(world.store), soon);
  world.clock.now = NOON + 20;
  await markItem(world.store, 1, false);
  await markItem(world.store, 2, false);

  expect((await claimReconcile(world.store)).item.number).toBe(42);
});

test("a lease that ran out is lost: no heartbeat, no settle, and the next holder has a higher fence", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const zombie = await claimReconcile(world.store, "zombie");
  world.clock.now += 30_000;
  expect(await work.leaseState(zombie)).toEqual({ held: false, mark: 1 });
  expect(await work.heartbeat(zombie, 30_000)).toEqual({ held: false, mark: 1 });
  expect(await work.claimReconcile("hasty", 30_000)).toBeNull();
  await work.reap(null);

  const heir = await claimReconcile(world.store, "heir");

  expect(heir.item).toEqual(zombie.item);
  expect(heir.fence).toBeGreaterThan(zombie.fence);
  expect(await work.settleReconcile(zombie, aResult({ reason: "zombie" }))).toBe(false);
  expect((await work.item(itemRef(42)))?.reason).not.toBe("zombie");
  expect(await work.settleReconcile(heir, aResult())).toBe(true);
  expect(await work.settleReconcile(heir, aResult())).toBe(false);
});

test("a heartbeat keeps the lease and tells of new marks", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const claim = await claimReconcile(world.store);
  for (let beat = 0; beat < 5; beat += 1) {
    world.clock.now += 20_000;
    expect((await work.heartbeat(claim, 30_000)).held).toBe(true);
  }

  await markItem(world.store, 42);

  expect(await work.heartbeat(claim, 30_000)).toEqual({ held: true, mark: claim.mark + 1 });
  expect(await work.claimReconcile("other", 1000)).toBeNull();
});

test("the state of a lease tells whether it is held and of new marks, and renews nothing", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 42);
  const claim = await claimReconcile(world.store);
  await markItem(world.store, 42);

  expect(await work.leaseState(claim)).toEqual({ held: true, mark: claim.mark + 1 });
  expect(await work.leaseState({ ...claim, fence: claim.fence - 1 })).toMatchObject({
    held: false,
  });
  world.clock.now += 60_000;
  expect(await work.leaseState(claim)).toMatchObject({ held: false });
});

test("reap frees what ran out and what its owner left behind, and nothing else", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  for (const number of [1, 2, 3]) await markItem(world.store, number);
  await work.claimReconcile("dead", 10);
  await claimReconcile(world.store, "old me");
  const alive = await claimReconcile(world.store, "alive");
  world.clock.now += 10;

  expect(await work.reap("old me")).toBe(2);
  expect(await work.reap("old me")).toBe(0);
  expect((await work.heartbeat(alive, 1000)).held).toBe(true);
  expect((await claimReconcile(world.store)).item.number).toBe(1);
  expect((await claimReconcile(world.store)).item.number).toBe(2);
});

test("while its order waits an item may be looked at again, which replaces or withdraws it", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await orderRun(world.store, 1, anOrder({ fingerprint: "old" }));
  await orderRun(world.store, 1, anOrder({ fingerprint: "new" }));
  await orderRun(world.store, 2, anOrder({ fingerprint: "withdrawn" }));
  await markItem(world.store, 2);
  await work.settleReconcile(await claimReconcile(world.store), aResult());

  expect((await claimRun(world.store)).order.fingerprint).toBe("new");
  expect(await work.claimRun("me", 1000, { runs: 9, runsPerAgent: 9 })).toBeNull();
});

test("the same order keeps its place among those that wait", async () => {
  await using world = await openStoreWorld();
  await orderRun(world.store, 1, anOrder({ fingerprint: "same" }));
  await orderRun(world.store, 2);
  await orderRun(world.store, 1, anOrder({ fingerprint: "same", reason: "seen again" }));

  const claim = await claimRun(world.store);

  expect(claim.item.number).toBe(1);
  expect(claim.order.reason).toBe("seen again");
});

test("listeners hear of everything that may make work due, and one that throws harms nobody", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  let wakes = 0;
  store.onWake(() => {
    throw new Error("listener");
  });
  store.onWake(() => {
    wakes += 1;
  });
  const woken = async (act: () => Promise<unknown>) => {
    const before = wakes;
    await act();
    return wakes > before;
  };

  expect(await woken(() => orderRun(store, 42))).toBe(true);
  const claim = await claimRun(store);
  expect(await woken(() => store.work.settleRun(claim, { notBefore: null, park: null }))).toBe(
    true,
  );
  expect(await woken(() => store.work.pause({ kind: "all" }, true))).toBe(false);
  expect(await woken(() => store.work.pause({ kind: "all" }, false))).toBe(true);
  expect(world.warnings[0]?.message).toBe("a listener of the store failed");
});
