import { expect, test } from "bun:test";
import {
  anEnd,
  aResult,
  aSession,
  aSnapshot,
  aStart,
  claimReconcile,
  claimRun,
  itemRef,
  markItem,
  NOON,
  openStoreWorld,
  orderRun,
} from "../support/store-world.ts";

test("items are listed newest first, and marking one between pages moves nothing", async () => {
  await using world = await openStoreWorld();
  const { work } = world.store;
  for (const number of [1, 2, 3, 4, 5]) await markItem(world.store, number);

  const first = await work.items(2, null);
  await markItem(world.store, 1);
  await markItem(world.store, 6);
  const second = await work.items(2, first.next);
  const third = await work.items(2, second.next);

  expect([first, second, third].map((page) => page.rows.map((row) => row.number))).toEqual([
    [5, 4],
    [3, 2],
    [1],
  ]);
  expect(third.next).toBeNull();
  expect(first.rows[0]).toMatchObject({ state: "waiting", decision: "none", pull: null, usd: 0 });
});

test("an unknown item has neither row nor snapshot", async () => {
  await using world = await openStoreWorld();

  expect(await world.store.work.item(itemRef(42))).toBeNull();
  expect(await world.store.work.snapshot(itemRef(42))).toBeNull();
});

test.each(["nonsense", "{}", '{"kind":"issue"}'])(
  "a damaged snapshot (%s) is absent and reported",
  async (text) => {
    await using world = await openStoreWorld();
    await markItem(world.store, 42);
    await world.store.work.settleReconcile(
      await claimReconcile(world.store),
      aResult({ snapshot: aSnapshot(42) }),
    );
    await world.raw(`update snapshot set snapshot_json = '${text}'`);

    expect(await world.store.work.snapshot(itemRef(42))).toBeNull();
    expect(world.warnings[0]?.fields).toMatchObject({ where: "snapshot acme/widgets#42" });
  },
);

test("local items are those with a session, clone, run, park, open intent or waiting order", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  const { work, sessions, ledger, effects, runs } = store;
  await markItem(store, 1);
  await work.settleReconcile(await claimReconcile(store), aResult());
  await sessions.put(aSession("boss", 2));
  await ledger.cloneMade(itemRef(3), "boss");
  await orderRun(store, 4);
  const claim = await claimRun(store);
  await runs.start(claim, aStart("r4", claim));
  await markItem(store, 5);
  const park = { row: "all", name: "money", reason: "r", until: null, since: NOON } as const;
  await work.settleReconcile(await claimReconcile(store), aResult({ parks: [park] }));
  const intent = await effects.intend({
    key: "k",
    run: "r4",
    item: itemRef(6),
    tool: "reply",
    at: 1,
  });
  await orderRun(store, 7);

  expect((await work.localItems()).map((item) => item.number)).toEqual([2, 3, 4, 5, 6, 7]);

  await sessions.drop(aSession("boss", 2).key);
  await ledger.clonesRemoved(itemRef(3));
  await runs.end(anEnd("r4"));
  await effects.finish(intent.id, { state: "done", ref: null, text: "" });
  await claimRun(store);
  expect((await work.localItems()).map((item) => item.number)).toEqual([5]);
});

test("a pull request belongs to the number written first", async () => {
  await using world = await openStoreWorld();
  const { pulls } = world.store;

  expect(await pulls.itemOf("acme/widgets", 43)).toBeNull();
  expect(await pulls.write("acme/widgets", 43, 42)).toBe(42);
  expect(await pulls.write("acme/widgets", 43, 99)).toBe(42);
  await pulls.write("acme/widgets", 50, 42);

  expect(await pulls.itemOf("acme/widgets", 43)).toBe(42);
  expect(await pulls.itemOf("acme/other", 43)).toBeNull();
  expect(await pulls.pullsOf(itemRef(42))).toEqual([43, 50]);
});

test("a number belongs to its pull request's item, else to itself where it is an item, else to none", async () => {
  await using world = await openStoreWorld();
  const { pulls } = world.store;
  for (const number of [42, 43]) await markItem(world.store, number);
  await pulls.write("acme/widgets", 43, 42);

  expect(await pulls.itemOfNumber("acme/widgets", 42)).toBe(42);
  // It is an item of its own, too: from before it was known whose pull request it is.
  expect(await pulls.itemOfNumber("acme/widgets", 43)).toBe(42);
  expect(await pulls.itemOfNumber("acme/widgets", 44)).toBeNull();
  expect(await pulls.itemOfNumber("acme/other", 42)).toBeNull();
});

test("small values of the service are kept", async () => {
  await using world = await openStoreWorld();

  expect(await world.store.meta.get("sweep")).toBeNull();
  await world.store.meta.set("sweep", "1");
  await world.store.meta.set("sweep", "2");

  expect(await (await world.reopen()).meta.get("sweep")).toBe("2");
});
