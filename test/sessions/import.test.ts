import { expect, test } from "bun:test";
import { chown, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dropSession, setSession } from "../../src/sessions/store.ts";
import { openSessionWorld, textOf } from "../support/session-world.ts";
import { aSession, NOON } from "../support/store-world.ts";

const ID = "11111111-2222-4333-8444-555555555555";

/** An entry in the form of the contract. */
const entry = (patch: object = {}) => ({
  key: "boss:acme/widgets#42",
  agent: "boss",
  repo: "acme/widgets",
  number: 42,
  session_id: ID,
  created_at: 1,
  updated_at: 2,
  resumes: 3,
  tainted: false,
  ...patch,
});

test("the mirror of a lost database is imported", async () => {
  await using world = await openSessionWorld();
  await writeFile(world.file, JSON.stringify({ version: 1, sessions: [entry()] }));

  const { table } = await world.open();

  expect(await table.all()).toEqual([
    aSession("boss", 42, { sessionId: ID, createdAt: 1, updatedAt: 2, resumes: 3 }),
  ]);
  expect(world.warnings()).toEqual([]);
});

test("what one database mirrored another one imports", async () => {
  await using first = await openSessionWorld();
  const rows = [aSession("boss", 1, { resumes: 5 }), aSession("reviewer", 2, { tainted: true })];
  const store = await first.open();
  for (const row of rows) await setSession(store, row);
  await store.mirror.flush();
  await using second = await openSessionWorld();
  await writeFile(second.file, (await textOf(first.file)) ?? "");

  expect(await (await second.open()).table.all()).toEqual(rows);
});

test("a plain object of key and session id is imported, tainted, and rewritten in our form", async () => {
  await using world = await openSessionWorld();
  await writeFile(world.file, JSON.stringify({ "boss:Acme/Widgets#42": ID }));

  const { table } = await world.open();

  expect(await table.all()).toEqual([
    aSession("boss", 42, { sessionId: ID, createdAt: NOON, updatedAt: NOON, tainted: true }),
  ]);
  expect(await world.content()).toMatchObject({ version: 1, sessions: [{ session_id: ID }] });
});

test("entries that do not validate are reported and skipped", async () => {
  await using world = await openSessionWorld();
  const bad = [
    entry({ key: "boss:acme/widgets#43" }),
    entry({ agent: "Boss" }),
    entry({ number: 0 }),
    entry({ session_id: "../x" }),
    entry({ resumes: -1 }),
    entry({ created_at: -5 }),
    // A millisecond more than any moment there is: printing it would fail for ever after.
    entry({ session_id: "far", updated_at: 8_640_000_000_000_001 }),
    entry({ tainted: "no" }),
    { key: "boss:acme/widgets#42" },
    null,
    7,
  ];
  const file = { version: 1, sessions: [...bad, entry(), entry({ session_id: "twice" })] };
  await writeFile(world.file, JSON.stringify(file));

  const { table } = await world.open();

  expect((await table.all()).map((row) => row.sessionId)).toEqual([ID]);
  expect(world.warnings()).toHaveLength(bad.length + 1);
});

test("__proto__ as a key is one more entry that is no session", async () => {
  await using world = await openSessionWorld();
  await writeFile(
    world.file,
    `{"__proto__":"${ID}","constructor":"${ID}","boss:acme/widgets#1":"${ID}"}`,
  );

  const { table } = await world.open();

  expect((await table.all()).map((row) => row.key)).toEqual(["boss:acme/widgets#1"]);
  expect(world.warnings()).toHaveLength(2);
  expect(({} as Record<string, unknown>)["boss:acme/widgets#1"]).toBeUndefined();
});

test("our own older copy is not imported into a database that had its sessions", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  await setSession(store, aSession("boss", 1));
  await store.mirror.flush();

  // Kill -9 between the drop and the write of the mirror.
  await dropSession(store, aSession("boss", 1).key);

  expect(await (await world.openBeside()).table.all()).toEqual([]);
  expect(await textOf(world.file)).toBe('{"version":1,"sessions":[]}\n');
});

test("a thousand sessions are imported at once", async () => {
  await using world = await openSessionWorld();
  const keys = Array.from({ length: 1001 }, (_, index) => [`boss:acme/widgets#${index + 1}`, ID]);
  await writeFile(world.file, JSON.stringify(Object.fromEntries(keys)));

  const { table } = await world.open();

  expect(await table.count()).toBe(1001);
  expect(world.logged.at(-1)).toMatchObject({
    message: "imported sessions.json",
    fields: { count: 1001, skipped: 0 },
  });
});

test("a file put there after a first start without sessions is still imported", async () => {
  await using world = await openSessionWorld();
  await (await world.open()).mirror.close();
  await writeFile(world.file, JSON.stringify({ "boss:acme/widgets#42": ID }));

  expect(await (await world.open()).table.count()).toBe(1);
});

const unreadable: readonly (readonly [string, string | Uint8Array])[] = [
  ["an empty file", ""],
  ["half a file", '{"version":1,"sessions":[{"key":"boss'],
  ["a list", "[]"],
  ["a number", "7"],
  ["null", "null"],
  ["a version we do not know", '{"version":2,"sessions":[]}'],
  ["a wrong shape", '{"version":1,"sessions":{}}'],
  ["bytes that are no text", new Uint8Array([0xff, 0xfe, 0x00])],
];

test.each(unreadable)("%s is set aside with a warning", async (_name, content) => {
  await using world = await openSessionWorld();
  await writeFile(world.file, content);

  const { table } = await world.open();

  expect(await table.count()).toBe(0);
  expect((await readdir(world.stateDir)).sort()).toEqual([
    "sessions.json",
    `sessions.json.bad-${NOON}`,
  ]);
  expect(world.warnings()).toEqual([
    "sessions.json is not readable and was set aside; the database holds",
  ]);
});

test("a corrupt file beside a database with sessions is set aside and written anew", async () => {
  await using world = await openSessionWorld();
  await setSession(await world.open(), aSession("boss", 42));
  await (await world.open()).mirror.close();
  await writeFile(world.file, "{");

  await world.open();

  expect(await textOf(world.file)).toContain("boss:acme/widgets#42");
  expect(await textOf(join(world.stateDir, `sessions.json.bad-${NOON}`))).toBe("{");
});

test("a symbolic link is set aside unread, and what it names is left alone", async () => {
  await using world = await openSessionWorld();
  const victim = join(world.database.directory, "victim");
  await writeFile(victim, JSON.stringify({ "boss:acme/widgets#42": ID }));
  await symlink(victim, world.file);

  const { table } = await world.open();

  expect(await table.count()).toBe(0);
  expect(await textOf(victim)).toContain(ID);
  expect(await readdir(world.stateDir)).toContain(`sessions.json.bad-${NOON}`);
});

test("a directory and a pipe in its place do not stop the start", async () => {
  await using world = await openSessionWorld();
  await mkdir(world.file);
  await world.open();
  await rm(world.file);
  await Bun.$`mkfifo ${world.file}`;

  await world.open();

  expect(await textOf(world.file)).toBe('{"version":1,"sessions":[]}\n');
  expect(world.warnings()).toHaveLength(2);
});

// Only root may give a file away, so elsewhere this cannot be arranged.
test.if(process.getuid?.() === 0)("a file of another user is set aside unread", async () => {
  await using world = await openSessionWorld();
  await writeFile(world.file, JSON.stringify({ "boss:acme/widgets#42": ID }));
  await chown(world.file, 65_534, 65_534);

  const { table } = await world.open();

  expect(await table.count()).toBe(0);
  expect(world.logged[0]?.fields["problem"]).toContain("65534");
});

test("a state directory that is missing does not stop the start", async () => {
  await using world = await openSessionWorld();
  await rm(world.stateDir, { recursive: true });

  const { table } = await world.open();

  expect(await table.count()).toBe(0);
  expect(world.warnings().length).toBeGreaterThan(0);
});
