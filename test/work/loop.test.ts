import { expect, test } from "bun:test";
import { ForgeFailure } from "../../src/ports/forge.ts";
import type { RunClaim } from "../../src/ports/store/claims.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { createWorkLoop } from "../../src/work/loop.ts";
import { openGates } from "../support/gates.ts";
import { policyWith, snapshotWith } from "../support/world.ts";

const ITEM = { repo: "acme/widgets", number: 1 };
const MARK = { repo: ITEM.repo, target: { kind: "number", number: 1 } } as const;
const LIMITS = { runs: 1, runsPerAgent: 1 };
/** Long enough for a machine that is busy with other tests. */
const LEASE_MS = 300;
const PATIENCE_MS = 5000;

/** Only what a reconcile of an issue touches; anything else would fail the test. */
async function workWorld(
  change: Partial<WorkDependencies>,
  run: (claim: RunClaim) => Promise<void> = () => Promise.reject(new Error("nothing may run here")),
) {
  const store = await openStore({ path: ":memory:", now: Date.now });
  const warned: string[] = [];
  const ignore = () => undefined;
  const parts: Partial<WorkDependencies> = {
    store,
    policy: () => policyWith(),
    gates: await openGates(),
    chance: () => 0.5,
    pausedByFile: () => false,
    now: Date.now,
    log: {
      debug: ignore,
      info: ignore,
      warn: (text) => warned.push(text),
      error: (text) => warned.push(text),
    },
    ...change,
  };
  const deps = {
    metrics: { decision: ignore },
    audit: { append: ignore },
    forge: {
      reader: { lookUp: async () => ({ kind: "issue" }) },
      actor: () => ({ react: async () => undefined }),
    },
    ...parts,
  } as unknown as WorkDependencies;
  const loop = createWorkLoop(deps, {
    owner: "me",
    limits: () => LIMITS,
    run,
    leaseMs: LEASE_MS,
    coolDownMs: 5,
  });
  return {
    store,
    loop,
    warned,
    [Symbol.asyncDispose]: async () => {
      await loop.drain();
      await store.close();
    },
  };
}

async function until(probe: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await probe())) {
    if (performance.now() > end) throw new Error("it did not happen in time");
    await Bun.sleep(5);
  }
}

test("a snapshot that takes longer than a lease is read once and settled", async () => {
  let reads = 0;
  await using world = await workWorld({
    readSnapshot: async () => {
      reads += 1;
      await Bun.sleep(LEASE_MS * 5);
      return snapshotWith({ assignees: [], acts: [] });
    },
  });
  const { store, loop, warned } = world;
  await store.work.mark([MARK], true);
  loop.start();
  // A reconcile whose lease ran out would be claimed again, and what it found thrown away.
  await until(
    async () =>
      (await store.work.item(ITEM))?.state === "idle" && (await store.work.waiting()).waiting === 0,
  );
  expect(reads).toBe(1);
  expect((await store.work.item(ITEM))?.reason).toBe("no agent that implements has this issue");
  expect(warned).toEqual([]);
});

test("a decision is audited when it is another one than before, and each one is logged", async () => {
  const told: string[] = [];
  let isAssigned = false;
  const note = (kind: string) => (word: string, fields?: object) => {
    if (word === "decision") told.push(`${kind} ${(fields as { reason: string }).reason}`);
  };
  await using world = await workWorld(
    {
      log: { debug: () => undefined, info: note("log"), warn: console.warn, error: console.error },
      audit: { append: note("audit") },
      readSnapshot: async () => snapshotWith(isAssigned ? {} : { assignees: [], acts: [] }),
    },
    async () => undefined,
  );
  const { store, loop } = world;
  store.onWake(loop.wake);
  loop.start();
  for (const count of [1, 2]) {
    await store.work.mark([MARK], true);
    await until(() => told.filter((line) => line.startsWith("log")).length === count);
  }
  isAssigned = true;
  await store.work.mark([MARK], true);
  await until(() => told.includes("audit alice assigned boss"));

  const nothing = "no agent that implements has this issue";
  const ofNothing = told.filter((line) => line.endsWith(nothing));
  expect(ofNothing).toEqual([`log ${nothing}`, `audit ${nothing}`, `log ${nothing}`]);
});

test("an item that is marked more often than it can be looked at is run all the same", async () => {
  const runs: string[] = [];
  let reads = 0;
  await using world = await workWorld(
    {
      readSnapshot: async () => {
        reads += 1;
        // As a build tells every step of its own: before this look ends there is something new.
        await store.work.mark([MARK], true);
        await until(async () => (await store.work.unresolved(1)).length === 0);
        return snapshotWith();
      },
    },
    async ({ item, order }) => {
      runs.push(`${item.number} ${order.skill}`);
      await Promise.resolve();
    },
  );
  const { store, loop } = world;
  await store.work.mark([MARK], true);
  loop.start();
  await until(() => runs.length > 0 || reads > 5);

  expect(runs).toEqual(["1 implement"]);
  expect(reads).toBeLessThan(5);
});

test.each(["not_found", "unavailable", "auth"] as const)(
  "the mark of a known work item is not lost when the forge answers %s about its number",
  async (kind) => {
    let failing = false;
    let reads = 0;
    const answer = async <T>(value: T): Promise<T> => {
      if (failing) throw new ForgeFailure(kind, "GET: refused");
      return value;
    };
    await using world = await workWorld({
      forge: {
        reader: { lookUp: async () => await answer({ kind: "issue" }) },
      } as unknown as WorkDependencies["forge"],
      readSnapshot: async () => {
        reads += 1;
        return await answer(snapshotWith({ assignees: [], acts: [] }));
      },
    });
    const { store, loop } = world;
    await store.work.mark([MARK], true);
    loop.start();
    await until(() => reads === 1);
    await until(async () => (await store.work.item(ITEM))?.state === "idle");
    failing = true;
    await store.work.mark([MARK], true);
    loop.wake();
    await until(() => reads === 2);
    await until(
      async () => (await store.work.item(ITEM))?.reason?.startsWith("no answer") === true,
    );
    expect((await store.work.item(ITEM))?.retryAt).toBeGreaterThan(Date.now());
  },
);

test("a database that fails once when it is asked what is due next does not end the loop", async () => {
  await using world = await workWorld({
    readSnapshot: async () => snapshotWith({ assignees: [], acts: [] }),
  });
  const { store, loop, warned } = world;
  const { nextDue } = store.work;
  let asked = 0;
  Object.assign(store.work, {
    nextDue: async () => {
      asked += 1;
      if (asked === 1) throw new Error("the connection was lost");
      return await nextDue();
    },
  });

  loop.start();
  await until(() => asked > 0);
  await store.work.mark([MARK], true);

  await until(async () => (await store.work.item(ITEM))?.decision === "nothing");
  expect(warned).toEqual(["the work loop stumbled"]);
});

test("a database that is away for long is told of when that begins, once a minute, and when it is over", async () => {
  const said: { readonly text: string; readonly fields: Record<string, unknown> }[] = [];
  const say = (text: string, fields: object = {}) => said.push({ text, fields: { ...fields } });
  const clock = { now: Date.UTC(2026, 9, 1, 12) };
  await using world = await workWorld({
    readSnapshot: async () => snapshotWith({ assignees: [], acts: [] }),
    now: () => clock.now,
    log: { debug: say, info: say, warn: say, error: say },
  });
  const { store, loop } = world;
  const { nextDue } = store.work;
  const { unresolved } = store.work;
  let asked = 0;
  let isAway = true;
  const orAway = async <T>(answer: () => Promise<T>): Promise<T> => {
    asked += 1;
    if (isAway) throw new Error("database or disk is full");
    return await answer();
  };
  Object.assign(store.work, {
    nextDue: async () => await orAway(nextDue),
    unresolved: async (limit: number) => await orAway(async () => await unresolved(limit)),
  });
  await store.work.mark([MARK], true);
  const askedMore = async () => {
    const before = asked;
    await until(() => asked > before + 10);
  };

  loop.start();
  await askedMore();
  clock.now += 59_999;
  await askedMore();
  clock.now += 1;
  await askedMore();
  isAway = false;
  await until(async () => {
    loop.wake();
    return (await store.work.item(ITEM))?.decision === "nothing";
  });
  // A turn that is woken again asks nothing of what is due.
  await until(() => said.some(({ text }) => text === "the work loop goes on"));

  const begin = "database or disk is full";
  for (const [broke, over] of [
    ["the work loop stumbled", "the work loop goes on"],
    ["marks could not be resolved", "marks are resolved again"],
  ]) {
    const about = said.filter(({ text }) => text === broke || text === over);
    expect(about.map(({ text }) => text)).toEqual([broke, broke, over] as string[]);
    const [first, second, last] = about.map(({ fields }) => fields);
    expect(String(first?.["reason"])).toContain(begin);
    expect(first?.["more"]).toBeUndefined();
    expect(Number(second?.["more"])).toBeGreaterThan(2);
    expect(Number(last?.["times"])).toBeGreaterThan(Number(second?.["more"]));
  }
});

test("a turn during which the loop was woken asks nothing of what is due next: the next one begins at once", async () => {
  await using world = await workWorld({});
  const { store, loop } = world;
  const { nextDue, claimReconcile } = store.work;
  let turns = 0;
  let turnsBeforeAsked = 0;
  Object.assign(store.work, {
    claimReconcile: async (owner: string, leaseMs: number) => {
      turns += 1;
      if (turns < 5) loop.wake();
      return await claimReconcile(owner, leaseMs);
    },
    nextDue: async () => {
      turnsBeforeAsked ||= turns;
      return await nextDue();
    },
  });
  loop.start();
  await until(() => turnsBeforeAsked > 0);
  expect(turnsBeforeAsked).toBe(5);
});

test("a lease that runs out while the loop turns is freed, and its item looked at", async () => {
  await using world = await workWorld({
    readSnapshot: async () => snapshotWith({ assignees: [], acts: [] }),
  });
  const { store, loop } = world;
  await store.work.mark([MARK], true);
  const [row] = await store.work.unresolved(1);
  if (row === undefined) throw new Error("nothing is marked");
  await store.work.resolve([{ row, items: [ITEM] }]);
  expect(await store.work.claimReconcile("somebody who is gone", LEASE_MS)).not.toBeNull();
  loop.start();
  await until(async () => (await store.work.item(ITEM))?.decision === "nothing");
});

test("however often the loop is woken, leases that ran out are looked for four times a second at most", async () => {
  await using world = await workWorld({});
  const { store, loop } = world;
  const { reap, claimReconcile } = store.work;
  let turns = 0;
  const reaps: number[] = [];
  Object.assign(store.work, {
    claimReconcile: async (owner: string, leaseMs: number) => {
      turns += 1;
      loop.wake();
      return await claimReconcile(owner, leaseMs);
    },
    reap: async (owner: string | null) => {
      reaps.push(performance.now());
      return await reap(owner);
    },
  });
  loop.start();
  await until(() => reaps.length >= 3);
  const [first = 0, second = 0, third = 0] = reaps;
  expect(Math.min(second - first, third - second)).toBeGreaterThanOrEqual(249);
  expect(turns).toBeGreaterThan(10);
});
