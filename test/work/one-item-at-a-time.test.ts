import { expect, test } from "bun:test";
import type { WorkDependencies } from "../../src/work/dependencies.ts";
import { createWorkLoop } from "../../src/work/loop.ts";
import { until } from "../support/session-world.ts";
import { anOrder, aResult, issueMark, itemRef, openStoreWorld } from "../support/store-world.ts";

const OWNER = "me";

test("an item whose lease ran out while this process stood still is not worked on twice at once", async () => {
  await using database = await openStoreWorld("memory");
  const { store } = database;
  await store.work.mark([issueMark(1)], true);
  await store.work.resolve(
    (await store.work.unresolved(10)).map((row) => ({ row, items: [itemRef(1)] })),
  );
  const claim = await store.work.claimReconcile("somebody", 60_000);
  if (claim === null) throw new Error("nothing to reconcile");
  await store.work.settleReconcile(claim, aResult({ state: "waiting", order: anOrder() }));

  const events: string[] = [];
  const run = Promise.withResolvers<void>();
  const ignore = () => undefined;
  const deps = {
    store,
    // The first thing a reconcile asks for.
    policy: () => {
      events.push("reconcile begins");
      return null;
    },
    gates: {
      tryDue: ignore,
      isClosed: () => false,
      held: () => [],
      follow: async () => undefined,
      enter: async () => true,
      leave: ignore,
      nextTry: () => null,
    },
    now: () => database.clock.now,
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  } as Partial<Record<keyof WorkDependencies, unknown>> as WorkDependencies;
  const loop = createWorkLoop(deps, {
    owner: OWNER,
    limits: () => ({ runs: 4, runsPerAgent: 4 }),
    run: async () => {
      events.push("run begins");
      await run.promise;
      events.push("run ends");
    },
  });
  store.onWake(() => loop.wake());
  loop.start();
  await until(async () => events.length === 1);

  // As after SIGSTOP: the lease is over and the item is marked, while the run still lives.
  await store.work.reap(OWNER);
  await until(async () => (await store.work.waiting()).active === 1);
  run.resolve();
  await until(async () => events.length === 3);
  await loop.drain();

  expect(events).toEqual(["run begins", "run ends", "reconcile begins"]);
});
