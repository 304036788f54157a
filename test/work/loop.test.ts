import { expect, test } from "bun:test";
import { ForgeFailure } from "../../src/ports/forge.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { createWorkLoop } from "../../src/work/loop.ts";
import { openGates } from "../support/gates.ts";
import { policyWith, snapshotWith } from "../support/world.ts";

const ITEM = { repo: "acme/widgets", number: 1 };
const MARK = { repo: ITEM.repo, target: { kind: "number", number: 1 } } as const;
const LIMITS = { runs: 0, runsPerAgent: 0 };
/** Long enough for a machine that is busy with other tests. */
const LEASE_MS = 300;
const PATIENCE_MS = 5000;

/** Only what a reconcile of an unassigned issue touches; anything else would fail the test. */
async function workWorld(change: Partial<WorkDependencies>) {
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
    forge: { reader: { lookUp: async () => ({ kind: "issue" }) } },
    ...parts,
  } as unknown as WorkDependencies;
  const loop = createWorkLoop(deps, {
    owner: "me",
    limits: () => LIMITS,
    run: () => Promise.reject(new Error("nothing may run here")),
    leaseMs: LEASE_MS,
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
