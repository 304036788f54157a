import { expect, test } from "bun:test";
import { aStart, claimRun, itemRef, openStoreWorld, orderRun } from "../support/store-world.ts";

test("a run of a skill that this version does not know is ended as any other, and holds up nobody", async () => {
  await using world = await openStoreWorld();
  const { store, clock } = world;
  for (const number of [1, 2]) {
    await orderRun(store, number);
    const claim = await claimRun(store);
    await store.runs.start(claim, aStart(`run-${number}`, claim));
  }
  await world.raw("update run set skill = 'juggle' where id = 'run-1'");
  clock.now += 31_000;

  expect(await store.work.reap(null)).toBe(2);

  expect((await store.runs.get("run-1"))?.outcome).toBe("cancelled");
  expect((await store.runs.get("run-2"))?.outcome).toBe("cancelled");
  expect((await store.work.item(itemRef(2)))?.state).toBe("waiting");
});
