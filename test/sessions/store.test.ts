import { expect, test } from "bun:test";
import { sessionKey } from "../../src/sessions/key.ts";
import { dropAllForIssue, dropSession, getSession, setSession } from "../../src/sessions/store.ts";
import { openSessionWorld } from "../support/session-world.ts";
import { aSession } from "../support/store-world.ts";

test("a session comes back as it was set, also after a restart", async () => {
  await using world = await openSessionWorld();
  const session = aSession("boss", 42, { resumes: 3, tainted: true, usdTotal: 1.25 });
  const key = sessionKey("boss", "Acme/Widgets", 42);

  await setSession(await world.open(), session);
  await world.database.reopen();
  const store = await world.open();

  expect(await getSession(store, key)).toEqual(session);
  expect(await getSession(store, sessionKey("reviewer", "acme/widgets", 42))).toBeNull();
});

test("setting again replaces", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  await setSession(store, aSession("boss", 42));
  const second = aSession("boss", 42, { sessionId: "second", resumes: 1 });

  await setSession(store, second);

  expect(await store.table.all()).toEqual([second]);
});

test("a session is dropped once", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  const { key } = aSession("boss", 42);
  await setSession(store, aSession("boss", 42));

  expect(await dropSession(store, key)).toBe(true);
  expect(await dropSession(store, key)).toBe(false);
  expect(await getSession(store, key)).toBeNull();
});

test("dropping all of an issue spares other numbers and repositories", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  const others = [
    aSession("boss", 42),
    { ...aSession("boss", 4), repo: "acme/widgets-2", key: "boss:acme/widgets-2#4" },
    { ...aSession("boss", 4), repo: "xacme/widgets", key: "boss:xacme/widgets#4" },
    { ...aSession("boss", 4), repo: "acme/widget_", key: "boss:acme/widget_#4" },
  ];
  for (const row of [...others, aSession("boss", 4), aSession("reviewer", 4)]) {
    await setSession(store, row);
  }

  expect(await store.table.isPristine()).toBe(false);
  expect(await dropAllForIssue(store, "Acme/WIDGETS", 4)).toBe(2);
  expect(await dropAllForIssue(store, "acme/widgets", 4)).toBe(0);
  expect((await store.table.all()).map((row) => row.key)).toEqual(
    others.map((row) => row.key).sort(),
  );
});

test("a store whose only sessions were dropped with their issue is not taken for a new one", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  expect(await store.table.isPristine()).toBe(true);
  await setSession(store, aSession("boss", 42));

  await dropAllForIssue(store, "acme/widgets", 42);

  expect(await store.table.isPristine()).toBe(false);
});

test("a session whose key does not fit, or whose id is no word, is refused", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();

  for (const session of [
    aSession("boss", 42, { key: "boss:acme/widgets#43" }),
    aSession("boss", 42, { repo: "Acme/Widgets", key: "boss:Acme/Widgets#42" }),
    aSession("boss", 42, { sessionId: "../../etc/passwd" }),
    aSession("boss", 42, { sessionId: "--dangerous" }),
  ]) {
    const failure = await setSession(store, session).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "SessionKeyFailure" });
  }
  expect(await store.table.count()).toBe(0);
});

test("50 sets at the same time are all kept, in the database and in the mirror", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();

  await Promise.all(
    Array.from({ length: 50 }, (_, index) => setSession(store, aSession("boss", index + 1))),
  );
  await store.mirror.close();

  expect(await store.table.count()).toBe(50);
  const { sessions } = (await world.content()) as { sessions: unknown[] };
  expect(sessions).toHaveLength(50);
});

test("of sets of one turn a row the database refuses does not take its neighbours with it", async () => {
  await using world = await openSessionWorld();
  const { table } = await world.open();
  const bad = aSession("boss", 2, { createdAt: 1.5 });

  const results = await Promise.allSettled([
    table.put(aSession("boss", 1)),
    table.put(bad),
    table.put(aSession("boss", 3)),
  ]);

  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect((await table.all()).map((row) => row.number)).toEqual([1, 3]);
});

test("of sets and drops of one turn the last one holds", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();

  await Promise.all([
    setSession(store, aSession("boss", 1, { resumes: 1 })),
    setSession(store, aSession("boss", 1, { resumes: 2 })),
    setSession(store, aSession("boss", 2)),
    dropSession(store, aSession("boss", 2).key),
    setSession(store, aSession("boss", 3)),
  ]);

  const rows = await store.table.all();
  expect(rows.map((row) => [row.number, row.resumes])).toEqual([
    [1, 2],
    [3, 0],
  ]);
});

test("closing the database waits for the sets that were already asked for", async () => {
  await using world = await openSessionWorld();
  const set = setSession(await world.open(), aSession("boss", 1));

  const { sessions } = await world.database.reopen();

  await set;
  expect(await sessions.count()).toBe(1);
});
