import { describe, expect, test } from "bun:test";
import { StoreFailure } from "../../src/ports/store/failure.ts";
import {
  anEnd,
  anOrder,
  aResult,
  aSeen,
  aSession,
  aStart,
  claimReconcile,
  claimRun,
  issueMark,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
  resolveAll,
  type StoreWorld,
} from "../support/store-world.ts";

const LEASE_MS = 30_000;
const MANY = { runs: 100, runsPerAgent: 100 };
const ROUNDS = 10;

/** A run of `number` under way, made by `owner`. */
async function runUnderWay(world: StoreWorld, number: number, owner: string) {
  const { store } = world;
  await orderRun(store, number);
  const claim = await claimRun(store, owner);
  await store.runs.start(claim, aStart(`run-${number}-${owner}`, claim));
  return claim;
}

describe("what a queue of another make got wrong, and these tables must not", () => {
  test("what was marked in one call is claimed in that order", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    for (let round = 0; round < ROUNDS; round += 1) {
      const numbers = [5, 3, 4, 1, 2].map((number) => number + round * 10);
      await store.work.mark(
        numbers.map((number) => issueMark(number)),
        true,
      );
      await resolveAll(store);
      const claimed: number[] = [];
      for (const _ of numbers) {
        const claim = await claimReconcile(store);
        claimed.push(claim.item.number);
        await store.work.settleReconcile(claim, aResult());
      }
      expect(claimed).toEqual(numbers);
    }
  });

  test("an item that is cancelled while it runs is free only when its run has settled", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    const claim = await runUnderWay(world, 42, "me");

    await store.work.hold(itemRef(42), {
      kind: "cancelled",
      agent: "boss",
      since: NOON,
      known: null,
    });

    expect(await store.work.claimReconcile("other", LEASE_MS)).toBeNull();
    expect(await store.work.claimRun("other", LEASE_MS, MANY)).toBeNull();
    await store.work.settleRun(claim, { notBefore: null, park: null });
    expect((await claimReconcile(store, "other")).item.number).toBe(42);
  });

  test("a run that failed for good does not keep its item", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    const claim = await runUnderWay(world, 42, "me");
    await store.runs.end(anEnd("run-42-me", { outcome: "failed", reason: "no" }));
    await store.work.settleRun(claim, { notBefore: null, park: null });

    const next = await claimReconcile(store, "other");

    expect(next.item.number).toBe(42);
    await store.work.settleReconcile(next, aResult({ order: anOrder({ fingerprint: "second" }) }));
    expect((await claimRun(store, "other")).order.fingerprint).toBe("second");
  });

  test("an item that waits for its time holds back what is marked on it later, and nothing else", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    const claim = await runUnderWay(world, 42, "me");
    await store.work.settleRun(claim, { notBefore: NOON + 60_000, park: null });

    await markItem(store, 42);
    await markItem(store, 43);

    expect((await claimReconcile(store)).item.number).toBe(43);
    expect(await store.work.claimReconcile("me", LEASE_MS)).toBeNull();
    world.clock.now += 60_000;
    expect((await claimReconcile(store)).item.number).toBe(42);
  });

  test("what is due is claimed one after the other, without a wait between two", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await store.work.mark(
      Array.from({ length: 100 }, (_, index) => issueMark(index + 1)),
      false,
    );
    await resolveAll(store);
    const begin = performance.now();
    let claimed = 0;
    while ((await store.work.claimReconcile("me", LEASE_MS)) !== null) claimed += 1;

    expect(claimed).toBe(100);
    expect(performance.now() - begin).toBeLessThan(5000);
  });
});

describe("whose lease ran out", () => {
  test("loses the item to another, who finds the run ended and the session with what it cost", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await runUnderWay(world, 42, "dead");
    await store.runs.metered("run-42-dead", {
      usd: 0.75,
      tokens: { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 },
    });
    expect(await store.work.claimReconcile("other", LEASE_MS)).toBeNull();

    world.clock.now += LEASE_MS;
    expect(await store.work.reap(null)).toBe(1);

    expect((await claimReconcile(store, "other")).item.number).toBe(42);
    const [run] = (await store.ledger.read(itemRef(42))).runs;
    expect(run).toMatchObject({ outcome: "cancelled", usd: 0.75, endedAt: NOON + LEASE_MS });
    const session = await store.sessions.get(aSession("boss", 42).key);
    expect(session).toMatchObject({ sessionId: aSession("boss", 42).sessionId, usdTotal: 0.75 });
  });

  test("is not looked at before its run has been ended, however early somebody asks", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await runUnderWay(world, 42, "dead");
    await markItem(store, 42);
    world.clock.now += LEASE_MS;

    expect(await store.work.claimReconcile("other", LEASE_MS)).toBeNull();
    expect(await store.work.nextDue()).toBeLessThanOrEqual(world.clock.now);
    await store.work.reap(null);

    expect((await claimReconcile(store, "other")).item.number).toBe(42);
    expect((await store.runs.get("run-42-dead"))?.outcome).toBe("cancelled");
  });

  test("finds at its next start what others have ended for it, until it has said so itself", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await runUnderWay(world, 42, "dead");
    const process = { pid: 7, startTicks: "8", bootId: "b" };
    await store.runs.spawned("run-42-dead", process);
    world.clock.now += LEASE_MS;
    await store.work.reap(null);

    const left = await store.runs.unfinished("dead");
    expect(left.map(({ run, process }) => [run.id, process])).toEqual([["run-42-dead", process]]);
    expect(await store.runs.unfinished("other")).toEqual([]);

    await store.runs.end(anEnd("run-42-dead", { outcome: "timed_out" }));
    expect(await store.runs.unfinished("dead")).toEqual([]);
    expect((await store.runs.get("run-42-dead"))?.outcome).toBe("timed_out");
    await store.runs.end(anEnd("run-42-dead"));
    expect((await store.runs.get("run-42-dead"))?.outcome).toBe("timed_out");
  });

  test("writes nothing more, whatever it still tries", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    const old = await runUnderWay(world, 42, "dead");
    world.clock.now += LEASE_MS;
    await store.work.reap(null);
    const claim = await claimReconcile(store, "other");
    await store.work.settleReconcile(claim, aResult({ order: anOrder({ fingerprint: "second" }) }));
    const now = await claimRun(store, "other");

    const intend = () =>
      store.effects.intend({
        ...{ key: "k", run: "run-42-dead", item: itemRef(42), tool: "reply", at: NOON },
        claim: old,
      });
    const refused = await intend().catch((error: unknown) => error);

    expect(refused).toBeInstanceOf(StoreFailure);
    expect(refused).toMatchObject({ kind: "lost" });
    expect(await store.effects.openIntents(itemRef(42))).toEqual([]);
    expect((await store.work.heartbeat(old, LEASE_MS)).held).toBe(false);
    expect(await store.work.settleRun(old, { notBefore: null, park: null })).toBe(false);
    expect(await store.work.settleReconcile({ ...old, fence: old.fence - 1 }, aResult())).toBe(
      false,
    );
    expect(await store.runs.start(old, aStart("late", old))).toBeNull();
    expect(now.fence).toBeGreaterThan(old.fence);
    expect((await store.work.heartbeat(now, LEASE_MS)).held).toBe(true);
  });

  test("at its own start ends its runs itself, not by the lease", async () => {
    await using world = await openStoreWorld();
    const { store } = world;
    await runUnderWay(world, 42, "me");

    expect(await store.work.reap("me")).toBe(1);

    expect((await store.runs.get("run-42-me"))?.endedAt).toBeNull();
  });
});

test("a run that was given up after its effect counts as done, whatever its worker says later", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const claim = await runUnderWay(world, 42, "dead");
  const key = `acme/widgets#42|${claim.order.fingerprint}|open_pull_request|`;
  const effect = { run: "run-42-dead", item: itemRef(42), tool: "open_pull_request", at: NOON };
  const { id } = await store.effects.intend({ key, ...effect, claim });
  await store.effects.finish(id, { state: "done", ref: 43, text: "open" });
  world.clock.now += LEASE_MS;

  await store.work.reap(null);

  const outcome = async () => (await store.runs.get("run-42-dead"))?.outcome;
  expect(await outcome()).toBe("succeeded");
  await store.runs.end(anEnd("run-42-dead", { outcome: "cancelled" }));
  expect(await outcome()).toBe("succeeded");
  expect(await store.runs.unfinished("dead")).toEqual([]);
});

test("what fails in the middle leaves nothing behind", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const first = await runUnderWay(world, 1, "me");
  await orderRun(store, 2);
  const second = await claimRun(store);
  expect(second.item).not.toEqual(first.item);

  // The id is taken: the run cannot be written, so neither may its session and what it has seen.
  const start = aStart("run-1-me", second, { seen: aSeen({ title: "other" }) });
  expect(await store.runs.start(second, start).catch(() => "refused")).toBe("refused");

  expect(await store.sessions.get(aSession("boss", 2).key)).toBeNull();
  expect((await store.runs.seen("run-1-me"))?.title).toBe("t");
  expect(await store.runs.start(second, aStart("run-2", second))).toBe(1);
});

test("one of several sweeps, and another when it was not heard of", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;

  expect(await work.claimSweep("a", 1000)).toBe(true);
  expect(await work.claimSweep("b", 1000)).toBe(false);
  world.clock.now += 999;
  expect(await work.claimSweep("a", 1000)).toBe(true);
  world.clock.now += 999;
  expect(await work.claimSweep("b", 1000)).toBe(false);
  world.clock.now += 1;
  expect(await work.claimSweep("b", 1000)).toBe(true);
  expect(await work.claimSweep("a", 1000)).toBe(false);
});
