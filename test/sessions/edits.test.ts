import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import type { SessionRow } from "../../src/ports/store/sessions.ts";
import { dropSession, setSession } from "../../src/sessions/store.ts";
import { openSessionWorld, type SessionWorld, textOf } from "../support/session-world.ts";
import { aSession, NOON } from "../support/store-world.ts";

const ONE = aSession("boss", 1, { resumes: 2, usdTotal: 1.5 });
const TWO = aSession("reviewer", 2, { tainted: true });
const CHANGED = "a session was changed by hand in sessions.json";
const REMOVED = "a session was removed by hand from sessions.json and is forgotten";
const ADDED = "a session was added by hand to sessions.json";
const SKIPPED = "an entry of sessions.json is no session and was skipped";

type Entry = Record<string, unknown>;

/** A world with two sessions in table and file, the service stopped. */
async function stoppedWorld(): Promise<SessionWorld> {
  const world = await openSessionWorld();
  const store = await world.open();
  for (const row of [ONE, TWO]) await setSession(store, row);
  await store.mirror.close();
  return world;
}

/** Edits the entries of the file as a person would, starts again, and gives what the table has then. */
async function edit(
  world: SessionWorld,
  change: (entries: Entry[]) => readonly unknown[],
): Promise<readonly SessionRow[]> {
  const { sessions } = (await world.content()) as { sessions: Entry[] };
  await Bun.write(world.file, JSON.stringify({ version: 1, sessions: change(sessions) }, null, 2));
  const { table } = await world.open();
  return table.all();
}

const withFirst = (patch: Entry) => (entries: Entry[]) =>
  entries.map((entry, index) => (index === 0 ? { ...entry, ...patch } : entry));

test.each<[string, Entry, Partial<SessionRow>, string]>([
  [
    "another session id, whose cost is not known",
    { session_id: "mine" },
    { sessionId: "mine", usdTotal: 0 },
    `session_id ${ONE.sessionId} → mine`,
  ],
  ["taint", { tainted: true }, { tainted: true }, "tainted false → true"],
  ["resumes", { resumes: 0 }, { resumes: 0 }, "resumes 2 → 0"],
  [
    "times",
    { created_at: 5, updated_at: 6 },
    { createdAt: 5, updatedAt: 6 },
    `created_at ${NOON} → 5, updated_at ${NOON} → 6`,
  ],
  [
    "a line cut down to what must be there",
    { session_id: "mine", agent: undefined, number: undefined, resumes: undefined },
    { sessionId: "mine", usdTotal: 0 },
    `session_id ${ONE.sessionId} → mine`,
  ],
])("an edited line is taken over and reported: %s", async (_name, patch, expected, changed) => {
  await using world = await stoppedWorld();

  expect(await edit(world, withFirst(patch))).toEqual([{ ...ONE, ...expected }, TWO]);

  const reports = world.logged.filter(({ level }) => level === "warn");
  expect(reports).toMatchObject([{ message: CHANGED, fields: { key: ONE.key, changed } }]);
});

test("a line that was taken out drops its session", async () => {
  await using world = await stoppedWorld();

  expect(await edit(world, ([, second]) => [second])).toEqual([TWO]);

  expect(world.logged.at(-1)).toMatchObject({ message: REMOVED, fields: { key: ONE.key } });
  expect(await textOf(world.file)).not.toContain(ONE.key);
});

test("taking out all lines drops all sessions, one report each", async () => {
  await using world = await stoppedWorld();

  expect(await edit(world, () => [])).toEqual([]);

  expect(world.warnings()).toEqual([REMOVED, REMOVED]);
});

test.each([
  [{}, true],
  [{ tainted: false }, false],
])("a line that was put in with %p is a new session, tainted: %p", async (patch, tainted) => {
  await using world = await stoppedWorld();
  const line = { key: "boss:Acme/Widgets#7", session_id: "seven", ...patch };

  const rows = await edit(world, (entries) => [...entries, line]);

  expect(rows).toContainEqual(aSession("boss", 7, { sessionId: "seven", tainted }));
  expect(rows).toHaveLength(3);
  expect(world.logged.at(-1)).toMatchObject({ message: ADDED, fields: { number: 7, tainted } });
});

test("another layout, order and unknown fields are no edit, and the file gets its form back", async () => {
  await using world = await stoppedWorld();
  const before = await textOf(world.file);

  const rows = await edit(world, (entries) =>
    entries.toReversed().map((entry) => ({ note: "x", ...entry })),
  );

  expect(rows).toEqual([ONE, TWO]);
  expect(world.warnings()).toEqual([]);
  expect(await textOf(world.file)).toBe(before);
});

test.each<[string, Entry]>([
  ["a session id that is none", { session_id: "../x" }],
  ["a wrong type", { tainted: "no" }],
  ["a key that does not fit its fields", { key: "boss:acme/widgets#8" }],
  ["a key that is none", { key: "who?" }],
  ["a line without any key", { key: 1, agent: 1 }],
])("an invalid line is reported and our session stands: %s", async (_name, patch) => {
  await using world = await stoppedWorld();

  expect(await edit(world, withFirst(patch))).toEqual([ONE, TWO]);

  expect(world.warnings()).toEqual([SKIPPED]);
  expect(await textOf(world.file)).toContain(ONE.sessionId);
});

test("beside a line of which nobody knows whose it is, no missing line is a deletion", async () => {
  await using world = await stoppedWorld();

  expect(await edit(world, () => ["garbage"])).toEqual([ONE, TWO]);

  expect(world.warnings()).toEqual([SKIPPED]);
});

test("of two lines with one key the first counts", async () => {
  await using world = await stoppedWorld();

  const rows = await edit(world, ([one, two]) => [
    { ...one, session_id: "first" },
    { ...one, session_id: "second" },
    two,
  ]);

  expect(rows.map((row) => row.sessionId)).toEqual(["first", TWO.sessionId]);
  expect(world.warnings()).toEqual([SKIPPED, CHANGED]);
});

test("taint that the file never showed is not taken away by an edit of the older line", async () => {
  await using world = await stoppedWorld();
  const before = (await textOf(world.file)) ?? "";
  await world.database.store.sessions.put({ ...ONE, tainted: true, resumes: 3 });
  await Bun.write(world.file, before.replace(ONE.sessionId, "mine"));

  const { table } = await world.openBeside();

  expect(await table.get(ONE.key)).toMatchObject({ sessionId: "mine", tainted: true });
});

test("an edit is taken over once: what the service does afterwards stays", async () => {
  await using world = await stoppedWorld();
  await edit(world, withFirst({ session_id: "mine" }));
  await world.database.store.sessions.put({ ...ONE, sessionId: "later" });

  // As after kill -9: the file still has the edited line.
  const { table } = await world.openBeside();

  expect((await table.get(ONE.key))?.sessionId).toBe("later");
  expect(world.warnings()).toEqual([CHANGED]);
});

test("an edit that could not be mirrored is no newer edit at the next start", async () => {
  await using world = await stoppedWorld();
  const table = world.database.store.sessions;
  const { sessions } = (await world.content()) as { sessions: Entry[] };
  await Bun.write(world.file, JSON.stringify({ version: 1, sessions: sessions.slice(0, 1) }));
  const owner = await table.lines.claim();
  const seen = { key: TWO.key, written: null, change: { kind: "drop" } } as const;
  await table.lines.settle(owner, [seen]);
  await table.put({ ...TWO, resumes: 9 });

  // It was dropped, begun anew, and never written: its line is missing for that reason.
  await world.openBeside();

  expect((await table.get(TWO.key))?.resumes).toBe(9);
  expect(world.warnings()).toEqual([]);
});

test("a dropped session whose line still stands there does not come back, an edited line of it does", async () => {
  await using world = await stoppedWorld();
  const store = await world.open();
  const before = (await textOf(world.file)) ?? "";
  await dropSession(store, ONE.key);
  await dropSession(store, TWO.key);
  await Bun.write(world.file, before.replace(TWO.sessionId, "kept-by-hand"));

  const { table } = await world.openBeside();

  expect((await table.all()).map((row) => row.sessionId)).toEqual(["kept-by-hand"]);
  expect(world.warnings()).toEqual([ADDED]);
});

test("a missing file is no deletion", async () => {
  await using world = await stoppedWorld();
  await rm(world.file);

  expect(await (await world.open()).table.all()).toEqual([ONE, TWO]);

  expect(world.warnings()).toEqual([]);
  expect(await textOf(world.file)).toContain(ONE.key);
});

test("an object of key and session id is set aside when the database knows sessions", async () => {
  await using world = await stoppedWorld();
  await Bun.write(world.file, JSON.stringify({ "boss:acme/widgets#99": "x" }));

  expect(await (await world.open()).table.all()).toEqual([ONE, TWO]);

  expect(world.warnings()).toHaveLength(1);
  expect(await textOf(`${world.file}.bad-${NOON}`)).toContain("#99");
});

test("a start that another one overtakes leaves table and file to it", async () => {
  await using world = await stoppedWorld();
  const old = await world.open();
  const next = await world.openBeside();
  await setSession(next, aSession("boss", 5));
  await next.mirror.flush();

  await setSession(old, aSession("boss", 6));
  await old.mirror.flush();
  expect(await textOf(world.file)).not.toContain("#6");
  await next.mirror.flush();

  expect(await textOf(world.file)).toContain("#6");
  expect(world.warnings()).toEqual([]);
});
