import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dropSession, setSession } from "../../src/sessions/store.ts";
import { openSessionWorld, textOf, until } from "../support/session-world.ts";
import { aSession, NOON } from "../support/store-world.ts";

test("the mirror has the form of the contract, one session a line, and mode 0600", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  await setSession(store, aSession("reviewer", 42, { resumes: 2 }));
  await setSession(store, aSession("boss", 42, { tainted: true }));
  await store.mirror.flush();

  expect(await world.content()).toEqual({
    version: 1,
    sessions: [
      {
        key: "boss:acme/widgets#42",
        agent: "boss",
        repo: "acme/widgets",
        number: 42,
        session_id: aSession("boss", 42).sessionId,
        created_at: NOON,
        updated_at: NOON,
        resumes: 0,
        tainted: true,
      },
      expect.objectContaining({ key: "reviewer:acme/widgets#42", resumes: 2, tainted: false }),
    ],
  });
  expect((await textOf(world.file))?.split("\n")).toHaveLength(5);
  expect((await stat(world.file)).mode & 0o777).toBe(0o600);
});

test("an empty store has an empty mirror from the start", async () => {
  await using world = await openSessionWorld();

  await world.open();

  expect(await textOf(world.file)).toBe('{"version":1,"sessions":[]}\n');
});

test("a change reaches the file by itself within a second or so, and a burst in few writes", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  const inodes = new Set<number>([(await stat(world.file)).ino]);
  const started = performance.now();

  for (let number = 1; number <= 200; number += 1) {
    await setSession(store, aSession("boss", number));
    inodes.add((await stat(world.file)).ino);
  }
  await until(async () => (await textOf(world.file))?.includes("#200") ?? false);

  expect(performance.now() - started).toBeLessThan(3000);
  expect(inodes.size).toBeLessThanOrEqual(3);
});

test("what changed in the table alone reaches the file through changed()", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  await store.table.put(aSession("boss", 7));

  store.mirror.changed();
  await store.mirror.close();

  expect(await textOf(world.file)).toContain("boss:acme/widgets#7");
});

test("after kill -9 before the write the next start completes the file", async () => {
  await using world = await openSessionWorld();
  await world.open();
  await world.database.store.sessions.put(aSession("boss", 42));

  await world.open();

  expect(await textOf(world.file)).toContain("boss:acme/widgets#42");
});

test("a mirror that others may read is written anew", async () => {
  await using world = await openSessionWorld();
  await (await world.open()).mirror.close();
  await chmod(world.file, 0o644);

  await world.open();

  expect((await stat(world.file)).mode & 0o777).toBe(0o600);
});

test("an equal mirror is not written again", async () => {
  await using world = await openSessionWorld();
  await setSession(await world.open(), aSession("boss", 42));
  await world.open();
  const before = await stat(world.file);

  const store = await world.open();
  await store.mirror.flush();

  expect((await stat(world.file)).ino).toBe(before.ino);
});

test("temporary files of a killed process are removed at the start, others left alone", async () => {
  await using world = await openSessionWorld();
  const ours = "sessions.json.0123456789abcdef.tmp";
  const others = [
    "sessions.json.tmp",
    "sessions.json.0123456789abcdeg.tmp",
    "other.json.0123456789abcdef.tmp",
    "sessions.json.bad-1",
  ];
  for (const name of [ours, ...others]) await writeFile(join(world.stateDir, name), "x");
  await mkdir(join(world.stateDir, "sessions.json.ffffffffffffffff.tmp"));

  await world.open();

  const left = await readdir(world.stateDir);
  expect(left).not.toContain(ours);
  expect(left).toEqual(
    expect.arrayContaining([...others, "sessions.json.ffffffffffffffff.tmp", "sessions.json"]),
  );
});

test("a disk error never fails the caller, is logged with a remedy, and is made good at the next change", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  await rm(world.stateDir, { recursive: true });
  await writeFile(world.stateDir, "a file where the directory was");

  await setSession(store, aSession("boss", 1));
  await store.mirror.flush();
  expect(world.warnings()).toEqual([
    "sessions.json cannot be written; the sessions are safe in the database",
  ]);
  expect(world.logged.at(-1)?.fields["remedy"]).toContain(world.stateDir);
  expect(await store.table.count()).toBe(1);

  await rm(world.stateDir);
  await mkdir(world.stateDir);
  await dropSession(store, aSession("boss", 1).key);
  await store.mirror.flush();
  expect(await textOf(world.file)).toBe('{"version":1,"sessions":[]}\n');
  await setSession(store, aSession("boss", 2));
  await store.mirror.flush();
  expect(await textOf(world.file)).toContain("boss:acme/widgets#2");
});

test("a failed write leaves no temporary file behind", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  await rm(world.file);
  await mkdir(join(world.file, "in the way"), { recursive: true });

  await setSession(store, aSession("boss", 1));
  await store.mirror.flush();

  expect(world.warnings()).toHaveLength(1);
  expect(await readdir(world.stateDir)).toEqual(["sessions.json"]);
});

test("a link planted in the place of the mirror is replaced, not followed", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  const victim = join(world.database.directory, "victim");
  await writeFile(victim, "untouched");
  await rm(world.file);
  await symlink(victim, world.file);

  await setSession(store, aSession("boss", 1));
  await store.mirror.flush();

  expect(await textOf(victim)).toBe("untouched");
  expect(await textOf(world.file)).toContain("boss:acme/widgets#1");
});
