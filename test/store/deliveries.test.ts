import { expect, test } from "bun:test";
import { join } from "node:path";
import { openStore } from "../../src/store/open-store.ts";
import { aDelivery, issueMark, openStoreWorld } from "../support/store-world.ts";

test("a delivery is accepted once and marks only then", async () => {
  await using world = await openStoreWorld();
  const { deliveries, work } = world.store;

  const first = await deliveries.record(aDelivery("d1"), [issueMark(42)]);
  const second = await deliveries.record(aDelivery("d1"), [issueMark(43)]);

  expect([first, second]).toEqual(["accepted", "duplicate"]);
  expect((await work.unresolved(10)).map((row) => row.mark)).toEqual([issueMark(42)]);
});

test("calls of one turn share a transaction, and the same id among them is a duplicate", async () => {
  await using world = await openStoreWorld();
  let wakes = 0;
  world.store.onWake(() => {
    wakes += 1;
  });

  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      world.store.deliveries.record(aDelivery(`d${index % 50}`), [issueMark(index % 50)]),
    ),
  );

  expect(answers.filter((answer) => answer === "accepted")).toHaveLength(50);
  expect(answers.slice(0, 50)).not.toContain("duplicate");
  expect(wakes).toBe(1);
  expect(await world.store.work.unresolved(1000)).toHaveLength(50);
});

test("a delivery the database refuses does not take its neighbours with it", async () => {
  await using world = await openStoreWorld();
  const bad = aDelivery("bad", { status: "nonsense" as "accepted" });

  const answers = await Promise.allSettled(
    [aDelivery("a"), bad, aDelivery("b")].map((row) => world.store.deliveries.record(row, [])),
  );

  expect(answers.map((answer) => answer.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect((await world.store.deliveries.list(10, null)).rows.map((row) => row.id)).toEqual([
    "b",
    "a",
  ]);
});

test("deliveries are listed newest first, page by page, with all their fields", async () => {
  await using world = await openStoreWorld();
  const { deliveries } = world.store;
  for (let index = 0; index < 5; index += 1) await deliveries.record(aDelivery(`d${index}`), []);

  const first = await deliveries.list(2, null);
  await deliveries.record(aDelivery("late"), []);
  const second = await deliveries.list(2, first.next);
  const third = await deliveries.list(2, second.next);

  expect([first, second, third].map((page) => page.rows.map((row) => row.id))).toEqual([
    ["d4", "d3"],
    ["d2", "d1"],
    ["d0"],
  ]);
  expect(third.next).toBeNull();
  expect(first.rows[0]).toEqual(aDelivery("d4"));
});

test.each(["", "x", "-1", "1 or 1=1", "9".repeat(30)])(
  "the cursor %p is refused",
  async (cursor) => {
    await using world = await openStoreWorld();

    const failure = await world.store.deliveries.list(10, cursor).catch((error: unknown) => error);

    expect(failure).toMatchObject({ name: "StoreFailure", kind: "cursor" });
  },
);

test("what was acknowledged before kill -9 is there afterwards", async () => {
  await using world = await openStoreWorld();
  const path = join(world.directory, "killed.db");
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "record-child.ts"), path], {
    stdout: "pipe",
    stderr: "inherit",
  });

  const acknowledged: string[] = [];
  let rest = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    acknowledged.push(...lines);
    if (acknowledged.length > 200) child.kill("SIGKILL");
  }
  await child.exited;

  const store = await openStore({ path, now: () => 0 });
  const kept = new Set<string>();
  let before: string | null = null;
  do {
    const page = await store.deliveries.list(500, before);
    for (const row of page.rows) kept.add(row.id);
    before = page.next;
  } while (before !== null);
  await store.close();
  expect(acknowledged.length).toBeGreaterThan(200);
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
});
