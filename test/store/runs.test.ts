import { expect, test } from "bun:test";
import type { Outcome } from "../../src/domain/ledger.ts";
import {
  anEnd,
  anOrder,
  aSeen,
  aSession,
  aStart,
  claimReconcile,
  claimRun,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
  REPO,
  type StoreWorld,
} from "../support/store-world.ts";

/** Starts a run on item `number` and leaves it alive. */
async function started(world: StoreWorld, id: string, number: number, order = anOrder()) {
  await orderRun(world.store, number, order);
  const claim = await claimRun(world.store);
  await world.store.runs.start(claim, aStart(id, claim));
  return claim;
}

test("nothing starts under a claim that only looks, or whose lease has run out", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await markItem(store, 42);
  const look = { ...(await claimReconcile(store)), order: anOrder() };
  expect(await store.runs.start(look, aStart("r1", look))).toBeNull();
  await orderRun(store, 43);
  const claim = await claimRun(store);
  world.clock.now += 30_000;

  expect(await store.runs.start(claim, aStart("r2", claim))).toBeNull();
  expect(await store.runs.get("r1")).toBeNull();
  expect(await store.sessions.all()).toEqual([]);
});

test("a start writes run and session together", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 42, anOrder({ headSha: "abc" }));
  const claim = await claimRun(store);

  const attempt = await store.runs.start(
    claim,
    aStart("r1", claim, { resumed: true, shown: ["c1"], promptBytes: 77 }),
  );

  expect(attempt).toBe(1);
  expect(await store.runs.get("r1")).toEqual({
    id: "r1",
    repo: REPO,
    number: 42,
    agent: "boss",
    skill: "implement",
    attempt: 1,
    fingerprint: "boss implement 1",
    session: aSession("boss", 42).sessionId,
    resumed: true,
    startedAt: NOON,
    endedAt: null,
    outcome: null,
    reason: null,
    usd: 0,
    tokens: 0,
    headSha: "abc",
    pushedSha: null,
    shown: ["c1"],
    promptBytes: 77,
  });
  expect(await store.sessions.all()).toEqual([aSession("boss", 42)]);
});

test("a start without the lease writes neither run nor session", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 42);
  const claim = await claimRun(store);

  expect(
    await store.runs.start({ ...claim, fence: claim.fence - 1 }, aStart("a", claim)),
  ).toBeNull();
  expect(await store.runs.start({ ...claim, owner: "else" }, aStart("b", claim))).toBeNull();
  world.clock.now += 30_000;
  expect(await store.runs.start(claim, aStart("c", claim))).toBeNull();

  expect((await store.runs.list(10, null)).rows).toEqual([]);
  expect(await store.sessions.count()).toBe(0);
});

test("the attempt counts the earlier runs of the same fingerprint on the same item", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const attempts: (number | null)[] = [];
  for (const [id, number, fingerprint] of [
    ["a", 42, "x"],
    ["b", 42, "x"],
    ["c", 42, "y"],
    ["d", 7, "x"],
    ["e", 42, "x"],
  ] as const) {
    await orderRun(store, number, anOrder({ fingerprint }));
    const claim = await claimRun(store);
    attempts.push(await store.runs.start(claim, aStart(id, claim)));
    await store.runs.end(anEnd(id));
    await store.work.settleRun(claim, { notBefore: null, park: null });
    // The next order of this item begins with a clean slate of marks.
    const again = await store.work.claimReconcile("me", 1000);
    if (again === null) throw new Error("the end of a run marks its item");
    await store.work.settleReconcile(again, {
      decision: "nothing",
      reason: "",
      state: "idle",
      lookAgainAt: null,
      order: null,
      snapshot: null,
      pull: null,
      parks: [],
    });
  }

  expect(attempts).toEqual([1, 2, 1, 1, 3]);
});

test("an end writes outcome, money and session once; a second end changes nothing", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await started(world, "r1", 42);
  const session = aSession("boss", 42, { resumes: 1, usdTotal: 0.5 });

  await store.runs.end(anEnd("r1", { session }));
  await store.runs.end(anEnd("r1", { outcome: "failed", usd: 9, session: null }));

  expect(await store.runs.get("r1")).toMatchObject({
    endedAt: NOON + 1000,
    outcome: "succeeded",
    reason: "pull request 43 is open",
    usd: 0.5,
  });
  expect(await store.sessions.get("boss:acme/widgets#42")).toEqual(session);
  await store.runs.end(anEnd("never started"));
});

test("an end without a session drops it", async () => {
  await using world = await openStoreWorld();
  await started(world, "r1", 42);

  await world.store.runs.end(anEnd("r1", { session: null }));

  expect(await world.store.sessions.count()).toBe(0);
  expect(await world.store.sessions.isPristine()).toBe(false);
});

test("the late end of a run that was overtaken leaves the session to the newer one", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await started(world, "old", 42);
  world.clock.now += 60_000;
  await store.work.reap(null);
  await started(world, "new", 42);
  const session = aSession("boss", 42, { sessionId: "newer" });
  await store.sessions.put(session);

  await store.runs.end(anEnd("old", { session: null }));

  expect((await store.runs.get("old"))?.outcome).toBe("succeeded");
  expect(await store.sessions.get(session.key)).toEqual(session);
});

test("a run may go on in another session", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await started(world, "r1", 42);
  const session = aSession("boss", 42, { sessionId: "fresh" });

  const seen = aSeen({ texts: { "comment:5": "x" }, acts: [7] });
  await store.runs.sessionChanged("r1", session, { shown: ["comment:5"], seen });

  expect(await store.runs.get("r1")).toMatchObject({ session: "fresh", shown: ["comment:5"] });
  expect(await store.runs.seen("r1")).toEqual(seen);
  expect(await store.sessions.all()).toEqual([session]);
});

test("what a session has seen is kept with the run, and of an unknown run nothing is known", async () => {
  await using world = await openStoreWorld();
  await started(world, "r1", 42);

  expect(await world.store.runs.seen("r1")).toEqual(aSeen());
  expect(await world.store.runs.seen("ghost")).toBeNull();
});

test("a run that was never started is named", async () => {
  await using world = await openStoreWorld();
  const { runs } = world.store;
  const process = { pid: 1, startTicks: "2", bootId: "b" };

  for (const act of [
    () => runs.spawned("ghost", process),
    () => runs.pushed("ghost", "boss/42", "a"),
    () => runs.sessionChanged("ghost", aSession("boss", 42), { shown: [], seen: aSeen() }),
  ]) {
    const failure = await act().catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "StoreFailure", kind: "unknown_run" });
    expect(String(failure)).toContain("ghost");
  }
});

test("unfinished runs come back after a restart with the process of their CLI", async () => {
  await using world = await openStoreWorld();
  await started(world, "a", 1);
  await started(world, "b", 2);
  await started(world, "c", 3);
  const process = { pid: 7, startTicks: "123456", bootId: "boot" };
  await world.store.runs.spawned("b", process);
  await world.store.runs.end(anEnd("c"));

  const store = await world.reopen();

  const unfinished = await store.runs.unfinished("me");
  expect(unfinished.map(({ run, process }) => [run.id, process])).toEqual([
    ["a", null],
    ["b", process],
  ]);
});

test("totals count runs by how they ended", async () => {
  await using world = await openStoreWorld();
  const outcomes: readonly Outcome[] = [
    "succeeded",
    "succeeded",
    "asked",
    "declined",
    "failed",
    "timed_out",
    "stalled",
    "cancelled",
    "parked",
  ];
  for (const [index, outcome] of outcomes.entries()) {
    await started(world, `r${index}`, index + 1);
    await world.store.runs.end(anEnd(`r${index}`, { outcome }));
  }
  await started(world, "alive", 99);

  expect(await world.store.runs.totals()).toEqual({
    started: 10,
    succeeded: 2,
    failed: 3,
    parked: 1,
    active: 1,
  });
});

test("runs are listed newest first, page by page", async () => {
  await using world = await openStoreWorld();
  for (const number of [1, 2, 3]) await started(world, `r${number}`, number);

  const first = await world.store.runs.list(2, null);
  const second = await world.store.runs.list(2, first.next);

  expect([...first.rows, ...second.rows].map((run) => run.id)).toEqual(["r3", "r2", "r1"]);
  expect(second.next).toBeNull();
});

test("a damaged list of shown texts is reported and the run remembered", async () => {
  await using world = await openStoreWorld();
  await started(world, "r1", 42);
  await world.raw(`update run set shown_json = 'nonsense'`);

  const { runs } = await world.store.ledger.read(itemRef(42));

  expect(runs.map((run) => [run.id, run.shown])).toEqual([["r1", []]]);
  expect(world.warnings[0]?.fields).toMatchObject({ where: "run r1 shown_json" });
});
