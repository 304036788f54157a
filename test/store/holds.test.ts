import { describe, expect, test } from "bun:test";
import type { Hold } from "../../src/domain/hold.ts";
import {
  anEnd,
  anOrder,
  aResult,
  aStart,
  claimReconcile,
  claimRun,
  itemRef,
  NOON,
  openStoreWorld,
  orderRun,
} from "../support/store-world.ts";

const CANCELLED: Hold = { kind: "cancelled", agent: "boss", since: NOON, known: null };
const LIMITS = { runs: 100, runsPerAgent: 100 };

describe("a hold", () => {
  test("takes the waiting order back, marks the item, and survives a restart", async () => {
    await using world = await openStoreWorld();
    await orderRun(world.store, 42);

    expect(await world.store.work.hold(itemRef(42), CANCELLED)).toBe(true);

    const store = await world.reopen();
    expect(await store.work.held(itemRef(42))).toEqual(CANCELLED);
    expect((await store.ledger.read(itemRef(42))).hold).toEqual(CANCELLED);
    expect(await store.work.claimRun("me", 30_000, LIMITS)).toBeNull();
    expect((await claimReconcile(store)).item).toEqual(itemRef(42));
  });

  test("an order that a reconcile under way puts there is not claimed until it is let go", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await orderRun(store, 42);
    await store.work.hold(itemRef(42), CANCELLED);
    const claim = await claimReconcile(store);
    const order = anOrder();
    await store.work.settleReconcile(claim, aResult({ decision: "run", state: "waiting", order }));

    expect(await store.work.claimRun("me", 30_000, LIMITS)).toBeNull();
    await store.work.letGo(itemRef(42));
    expect((await claimRun(store)).item).toEqual(itemRef(42));
  });

  test("of an unknown item is refused", async () => {
    await using world = await openStoreWorld();
    expect(await world.store.work.hold(itemRef(7), CANCELLED)).toBe(false);
    expect(await world.store.work.goOn(itemRef(7))).toBe(false);
    expect(await world.store.work.held(itemRef(7))).toBeNull();
  });

  test("what people had done is remembered once, and a new hold forgets it", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await orderRun(store, 42);
    await store.work.hold(itemRef(42), CANCELLED);
    const known = { comment: 5, review: 6, act: 7 };
    await store.work.holdKnows(itemRef(42), known);
    await store.work.holdKnows(itemRef(42), { comment: 9, review: 9, act: 9 });
    expect(await store.work.held(itemRef(42))).toEqual({ ...CANCELLED, known });

    const parked: Hold = { kind: "parked", agent: null, since: NOON + 1, known: null };
    await store.work.hold(itemRef(42), parked);
    expect(await store.work.held(itemRef(42))).toEqual(parked);
  });

  test("of a parked item stays when the run that it ends is cancelled, too", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await orderRun(store, 42);
    const parked: Hold = { kind: "parked", agent: null, since: NOON, known: null };
    await store.work.hold(itemRef(42), parked);

    expect(await store.work.hold(itemRef(42), CANCELLED)).toBe(true);

    expect(await store.work.held(itemRef(42))).toEqual(parked);
  });
});

test("going on takes hold, parks and retry time away and remembers the newest run", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 42);
  const claim = await claimRun(store);
  await store.runs.start(claim, aStart("r1", claim));
  await store.runs.end(anEnd("r1", { outcome: "failed" }));
  const park = { row: "implement", name: "x", reason: "y", until: null, since: NOON } as const;
  await store.work.settleRun(claim, { notBefore: NOON + 60_000, park });
  await store.work.hold(itemRef(42), CANCELLED);
  expect(await store.work.claimReconcile("me", 30_000)).toBeNull();

  expect(await store.work.goOn(itemRef(42))).toBe(true);

  expect(await store.ledger.read(itemRef(42))).toMatchObject({
    hold: null,
    parks: [],
    continuedAfter: "r1",
  });
  expect((await claimReconcile(store)).item).toEqual(itemRef(42));
});

test("an item has its agent from the claim of a run to its end, and not while it is reconciled", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 42);
  expect(await store.work.runningAgent(itemRef(42))).toBeNull();
  const claim = await claimRun(store);
  expect(await store.work.runningAgent(itemRef(42))).toBe("boss");
  expect(await store.work.running(claim.owner)).toBe(1);
  // What another process of the same database runs is not waited for by a drain of this one.
  expect(await store.work.running("somebody else")).toBe(0);
  await store.work.settleRun(claim, { notBefore: null, park: null });
  await claimReconcile(store);
  expect(await store.work.runningAgent(itemRef(42))).toBeNull();
  expect(await store.work.running(claim.owner)).toBe(0);
});
