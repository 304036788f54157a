import { expect, test } from "bun:test";
import {
  aResult,
  aSession,
  claimReconcile,
  claimRun,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
  putSessions,
} from "../support/store-world.ts";

const LEASE_MS = 30_000;

test("of several who want an item at rest one gets it, and nothing runs on it until it is given back", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await orderRun(world.store, 1);
  const wanted = ["a", "b", "c"].map((owner) => work.claimItem(itemRef(1), owner, LEASE_MS));
  const [claim, ...others] = (await Promise.all(wanted)).filter((one) => one !== null);

  expect(others).toEqual([]);
  if (claim === undefined) throw new Error("nobody got it");
  expect(await work.claimRun("me", LEASE_MS, { runs: 9, runsPerAgent: 9 })).toBeNull();
  await work.release(claim);
  const run = await claimRun(world.store);
  expect(run.item).toEqual(itemRef(1));
  expect(run.fence).toBeGreaterThan(claim.fence);
  expect(await work.claimItem(itemRef(1), "a", LEASE_MS)).toBeNull();
  await work.release(claim);
  expect(await work.runningAgent(itemRef(1))).toBe(run.order.agent);
});

test("an item that is marked meanwhile, or was, is looked at afterwards", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await markItem(world.store, 1);
  const before = await claimReconcile(world.store);
  await work.settleReconcile(before, aResult());
  const claim = await work.claimItem(itemRef(1), "me", LEASE_MS);
  if (claim === null) throw new Error("it was not at rest");
  await markItem(world.store, 1);

  expect(await work.claimReconcile("me", LEASE_MS)).toBeNull();
  await work.release(claim);

  expect((await claimReconcile(world.store)).item).toEqual(itemRef(1));
});

test("a lease that ran out is not taken over before it was freed, and an unknown item has none", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await orderRun(world.store, 1);
  await claimRun(world.store);
  world.clock.now += LEASE_MS + 1;

  expect(await work.claimItem(itemRef(1), "me", LEASE_MS)).toBeNull();
  expect(await work.claimItem(itemRef(2), "me", LEASE_MS)).toBeNull();
  await work.reap(null);
  expect(await work.claimItem(itemRef(1), "me", LEASE_MS)).toMatchObject({ item: itemRef(1) });
});

test("unused sessions come with the oldest first, and only so many", async () => {
  await using world = await openStoreWorld();
  const { sessions } = world.store;
  const at = (number: number, updatedAt: number) => aSession("boss", number, { updatedAt });
  await putSessions(world.store, [at(1, NOON + 2), at(2, NOON), at(3, NOON + 1), at(4, NOON + 3)]);

  const numbers = async (before: number, limit: number) =>
    (await sessions.unused(before, limit)).map(({ number }) => number);
  expect(await numbers(NOON + 3, 10)).toEqual([2, 3, 1]);
  expect(await numbers(NOON + 3, 2)).toEqual([2, 3]);
  expect(await numbers(NOON, 10)).toEqual([]);
});
