import { expect, test } from "bun:test";
import fc from "fast-check";
import type { RunClaim, RunLimits } from "../../src/ports/store/claims.ts";
import type { Store } from "../../src/ports/store.ts";
import {
  anOrder,
  aResult,
  aStart,
  claimReconcile,
  claimRun,
  ENGINE,
  issueMark,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
  resolveAll,
} from "../support/store-world.ts";

const MANY: RunLimits = { runs: 100, runsPerAgent: 100 };

async function claimAll(store: Store, limits: RunLimits): Promise<readonly RunClaim[]> {
  const claims: RunClaim[] = [];
  for (;;) {
    const claim = await store.work.claimRun("me", 30_000, limits);
    if (claim === null) return claims;
    claims.push(claim);
  }
}

test("orders get their slot in the order in which they came", async () => {
  await using world = await openStoreWorld();
  for (const number of [3, 1, 2]) await orderRun(world.store, number);

  const claims = await claimAll(world.store, MANY);

  expect(claims.map((claim) => claim.item.number)).toEqual([3, 1, 2]);
  expect(claims[0]?.order).toEqual(anOrder());
  expect((await world.store.work.item(itemRef(3)))?.state).toBe("running");
});

test("the limits of all runs and of each agent hold, and a free slot is given on", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  for (const number of [1, 2, 3]) await orderRun(store, number);
  await orderRun(store, 4, anOrder({ agent: "reviewer", skill: "review" }));
  await orderRun(store, 5, anOrder({ agent: "code-lead", skill: "merge" }));

  const claims = await claimAll(store, { runs: 3, runsPerAgent: 2 });
  const [first] = claims;
  if (first === undefined) throw new Error("no claim");
  await store.work.settleRun(first, { notBefore: null, park: null });
  const next = await claimAll(store, { runs: 3, runsPerAgent: 2 });

  expect(claims.map((claim) => claim.item.number)).toEqual([1, 2, 4]);
  expect(next.map((claim) => claim.item.number)).toEqual([3]);
});

test("an order whose agent a gate holds waits, and lets those of others go first", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 1);
  await orderRun(store, 2, anOrder({ agent: "reviewer", skill: "review" }));

  expect(await claimAll(store, { ...MANY, held: ["reviewer", "boss"] })).toEqual([]);
  const [other, none] = await claimAll(store, { ...MANY, held: ["boss"] });
  expect([other?.item.number, none]).toEqual([2, undefined]);
  expect((await claimAll(store, MANY)).map((claim) => claim.item.number)).toEqual([1]);
});

test("a pause of everything, a repository or an agent holds its orders back", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const { work } = store;
  await orderRun(store, 1);
  await orderRun(store, 2, anOrder({ agent: "reviewer", skill: "review" }));

  await work.pause({ kind: "all" }, true);
  expect(await claimAll(store, MANY)).toEqual([]);
  await work.pause({ kind: "repo", repo: "Acme/Widgets" }, true);
  await work.pause({ kind: "all" }, false);
  expect(await claimAll(store, MANY)).toEqual([]);
  await work.pause({ kind: "agent", agent: "boss" }, true);
  await work.pause({ kind: "agent", agent: "boss" }, true);
  await work.pause({ kind: "repo", repo: "acme/widgets" }, false);
  expect((await claimAll(store, MANY)).map((claim) => claim.item.number)).toEqual([2]);
  expect(await work.paused()).toEqual([{ kind: "agent", agent: "boss" }]);
  await work.pause({ kind: "agent", agent: "boss" }, false);
  expect((await claimAll(store, MANY)).map((claim) => claim.item.number)).toEqual([1]);
});

test("the end of a run marks its item, not before its retry time", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await orderRun(world.store, 42);
  const claim = await claimRun(world.store);

  await work.settleRun(claim, { notBefore: NOON + 5000, park: null });

  expect(await work.claimReconcile("me", 1000)).toBeNull();
  expect(await work.nextDue()).toBe(NOON + 5000);
  expect(await work.item(itemRef(42))).toMatchObject({ state: "waiting", retryAt: NOON + 5000 });
  world.clock.now = NOON + 5000;
  await work.settleReconcile(await claimReconcile(world.store), aResult());
  expect((await work.item(itemRef(42)))?.retryAt).toBeNull();
});

test("the park of a run is added in place of one of the same row", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const park = { name: "failures", reason: "r", until: null, since: NOON };
  await markItem(store, 42);
  await store.work.settleReconcile(
    await claimReconcile(store),
    aResult({
      order: anOrder(),
      parks: [
        { ...park, row: "review" },
        { ...park, row: "implement", name: "old" },
      ],
    }),
  );

  const claim = await claimRun(store);
  await store.work.settleRun(claim, { notBefore: null, park: { ...park, row: "implement" } });

  expect((await store.ledger.read(itemRef(42))).parks).toEqual([
    { ...park, row: "review" },
    { ...park, row: "implement" },
  ]);
});

test("a run whose lease ran out is lost, and reaping it marks the item", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  await orderRun(world.store, 42);
  const claim = await claimRun(world.store);
  world.clock.now += 30_000;

  expect((await work.heartbeat(claim, 30_000)).held).toBe(false);
  expect(await work.reap(null)).toBe(1);
  expect(await work.settleRun(claim, { notBefore: null, park: null })).toBe(false);
  expect((await work.item(itemRef(42)))?.state).toBe("waiting");
  expect((await claimReconcile(world.store)).item).toEqual(itemRef(42));
});

test("an item whose run was lost is looked at only after that run was ended, however it is marked meanwhile", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 42);
  const claim = await claimRun(store);
  await store.runs.start(claim, aStart("lost", claim));
  await markItem(store, 42);
  world.clock.now += 30_000;

  expect(await store.work.claimReconcile("hasty", 30_000)).toBeNull();
  expect(await store.work.nextDue()).toBeLessThanOrEqual(world.clock.now);
  await store.work.reap(null);

  expect(await store.runs.get("lost")).toMatchObject({ outcome: "cancelled" });
  expect((await claimReconcile(store)).item).toEqual(itemRef(42));
});

test("a slot whose lease ran out is free again", async () => {
  await using world = await openStoreWorld();
  await orderRun(world.store, 1);
  await orderRun(world.store, 2);
  const limits = { runs: 1, runsPerAgent: 1 };
  expect(await claimAll(world.store, limits)).toHaveLength(1);

  world.clock.now += 30_000;

  expect((await claimAll(world.store, limits)).map((claim) => claim.item.number)).toEqual([2]);
});

test("an order gets no slot while its item is being looked at", async () => {
  await using world = await openStoreWorld();
  await orderRun(world.store, 42);
  await markItem(world.store, 42);
  const claim = await claimReconcile(world.store);

  expect(await claimAll(world.store, MANY)).toEqual([]);
  await world.store.work.settleReconcile(claim, aResult({ order: anOrder() }));
  expect(await claimAll(world.store, MANY)).toHaveLength(1);
});

test("a damaged order is reported, taken back, and its item looked at again", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 1);
  await orderRun(store, 2);
  await world.raw(`update item set order_json = '{"agent":1}' where number = 1`);

  const claims = await claimAll(store, MANY);

  expect(claims.map((claim) => claim.item.number)).toEqual([2]);
  expect(world.warnings).toHaveLength(1);
  expect((await claimReconcile(store)).item.number).toBe(1);
});

test("what waits and what is under way is counted; a sweep's marks are not", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await orderRun(store, 1);
  await orderRun(store, 2);
  await claimRun(store);
  await markItem(store, 3);
  await store.work.mark([issueMark(4)], true);
  await store.work.mark([issueMark(5), issueMark(6)], false);

  expect(await store.work.waiting()).toEqual({ waiting: 3, active: 1 });
});

test("of 8 racing claimers each order goes to one, within the limits", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  await store.work.mark(
    Array.from({ length: 40 }, (_, index) => issueMark(index + 1)),
    true,
  );
  await resolveAll(store);
  for (let index = 0; index < 40; index += 1) {
    const agent = index % 2 === 0 ? "boss" : "reviewer";
    await store.work.settleReconcile(
      await claimReconcile(store),
      aResult({ order: anOrder({ agent }) }),
    );
  }
  const live = new Set<number>();
  const perAgent = new Map<string, number>();
  let [done, asked, worst, worstOfAgent] = [0, 0, 0, 0];
  const race = async (owner: string) => {
    for (;;) {
      const claim = await store.work.claimRun(owner, 30_000, { runs: 5, runsPerAgent: 3 });
      asked += 1;
      if (claim === null && done + live.size >= 40) return;
      if (claim === null) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        continue;
      }
      expect(live.has(claim.item.number)).toBe(false);
      const { agent } = claim.order;
      live.add(claim.item.number);
      perAgent.set(agent, (perAgent.get(agent) ?? 0) + 1);
      worst = Math.max(worst, live.size);
      worstOfAgent = Math.max(worstOfAgent, perAgent.get(agent) ?? 0);
      // Held until the others have asked for more than there is, however long a claim takes.
      const enough = asked + 16;
      while (asked < enough && done + live.size < 40) {
        await store.work.heartbeat(claim, 30_000);
        // A heartbeat of SQLite is over within this turn of the event loop: the others need one, too.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      live.delete(claim.item.number);
      perAgent.set(agent, (perAgent.get(agent) ?? 0) - 1);
      done += 1;
      expect(await store.work.settleRun(claim, { notBefore: null, park: null })).toBe(true);
    }
  };

  await Promise.all(Array.from({ length: 8 }, (_, index) => race(`w${index}`)));

  expect({ done, worst, worstOfAgent }).toEqual({ done: 40, worst: 5, worstOfAgent: 3 });
});

test("no item ever has two live leases and no limit is passed, whatever happens when", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("order" as const), number: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant("mark" as const), number: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant("reconcile" as const) }),
    fc.record({ kind: fc.constant("claim" as const) }),
    fc.record({ kind: fc.constant("beat" as const), which: fc.nat(9) }),
    fc.record({ kind: fc.constant("settle" as const), which: fc.nat(9) }),
    fc.record({ kind: fc.constant("reap" as const) }),
    fc.record({ kind: fc.constant("time" as const), ms: fc.integer({ min: 1, max: 150 }) }),
  );
  const limits: RunLimits = { runs: 3, runsPerAgent: 2 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      await using world = await openStoreWorld("memory");
      const { work } = world.store;
      const held: { number: number; until: number; agent: string | null; claim: RunClaim }[] = [];
      const live = () => held.filter((lease) => lease.until > world.clock.now);
      const check = () => {
        const numbers = live().map((lease) => lease.number);
        expect(new Set(numbers).size).toBe(numbers.length);
        const agents = live().flatMap((lease) => (lease.agent === null ? [] : [lease.agent]));
        expect(agents.length).toBeLessThanOrEqual(limits.runs);
        for (const agent of agents) {
          expect(agents.filter((other) => other === agent).length).toBeLessThanOrEqual(
            limits.runsPerAgent,
          );
        }
      };
      for (const act of steps) {
        if (act.kind === "order") {
          await work.mark([issueMark(act.number)], true);
          await resolveAll(world.store);
          const claim = await work.claimReconcile("orders", 1);
          const agent = act.number % 2 === 0 ? "boss" : "reviewer";
          const order = anOrder({ agent, fingerprint: `${agent} ${act.number}` });
          if (claim !== null) {
            expect(live().some((lease) => lease.number === claim.item.number)).toBe(false);
            await work.settleReconcile(claim, aResult({ order }));
          }
        } else if (act.kind === "mark") {
          await work.mark([issueMark(act.number)], true);
          await resolveAll(world.store);
        } else if (act.kind === "reconcile") {
          const claim = await work.claimReconcile("r", 100);
          const until = world.clock.now + 100;
          if (claim !== null) {
            const { number } = claim.item;
            held.push({ number, until, agent: null, claim: { ...claim, order: anOrder() } });
          }
        } else if (act.kind === "claim") {
          const claim = await work.claimRun("w", 100, limits);
          const until = world.clock.now + 100;
          if (claim !== null) {
            held.push({ number: claim.item.number, until, agent: claim.order.agent, claim });
          }
        } else if (act.kind === "beat") {
          const lease = held[act.which];
          const beat = lease === undefined ? null : await work.heartbeat(lease.claim, 100);
          if (lease !== undefined && beat !== null) {
            expect(beat.held).toBe(lease.until > world.clock.now);
            if (beat.held) lease.until = world.clock.now + 100;
          }
        } else if (act.kind === "settle") {
          const [lease] = held.splice(act.which, 1);
          if (lease?.agent === null) await work.settleReconcile(lease.claim, aResult());
          else if (lease !== undefined) {
            await work.settleRun(lease.claim, { notBefore: null, park: null });
          }
        } else if (act.kind === "reap") await work.reap(null);
        else world.clock.now += act.ms;
        check();
      }
    }),
    // A world of PostgreSQL is a database that has to be made: a tenth of a second.
    { numRuns: ENGINE === "postgres" ? 10 : 60 },
  );
}, 60_000);
