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
