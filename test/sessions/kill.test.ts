import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { dropSession, setSession } from "../../src/sessions/store.ts";
import { openSessionWorld, type SessionWorld, textOf } from "../support/session-world.ts";
import { aSession } from "../support/store-world.ts";

const CHILD = fileURLToPath(new URL("kill-mirror-in-child.ts", import.meta.url));

const STEPS = [
  "before the changes are taken",
  "after the changes are taken",
  "before the draft is made",
  "while the draft is written",
  "after the draft is synced",
  "after the digests are announced",
  "before the rename",
  "after the rename, in its transaction",
  "after the rename",
  "after the directory is synced",
  "after the digests are confirmed",
] as const;

/** Steps that only a start takes which finds the leavings of a killed process. */
const START_STEPS = [
  "before a start settles what it has found",
  "after a start has settled what it has found",
  "before an announcement is withdrawn",
  "after an announcement is withdrawn",
] as const;

/** The sessions as the database has them after the deadly write has read them, and before. */
function sessionsAt(step: string) {
  const isBefore = step.endsWith("the changes are taken");
  return [
    aSession("boss", 1, { resumes: 2, sessionId: "another" }),
    aSession("boss", 2, { tainted: true }),
    ...(isBefore ? [] : [aSession("boss", 3, { resumes: 1 })]),
    aSession("boss", 4, { resumes: isBefore ? 6 : 7 }),
    aSession("boss", 5),
    ...(isBefore ? [aSession("boss", 6)] : []),
    aSession("boss", 7),
  ];
}

async function live(world: SessionWorld, step: string, life: "first" | "again"): Promise<boolean> {
  const child = Bun.spawn([process.execPath, CHILD, world.database.directory, step, life], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  await child.exited;
  return child.signalCode === "SIGKILL";
}

/** The next start: nothing is changed or reported, and the file is complete. */
async function expectUnharmed(world: SessionWorld, step: string): Promise<void> {
  const expected = sessionsAt(step);
  const { table } = await world.open();

  expect(await table.all()).toEqual(expected);
  expect(world.warnings()).toEqual([]);
  const { sessions } = (await world.content()) as { sessions: { key: string }[] };
  expect(sessions.map(({ key }) => key)).toEqual(expected.map(({ key }) => key));
  expect(await textOf(world.file)).toContain('"session_id":"another"');
  expect((await readdir(world.stateDir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);

  await world.open();
  expect(await table.all()).toEqual(expected);
  expect(world.warnings()).toEqual([]);
}

test.each(STEPS)("kill -9 %s of the mirror changes no session and is no edit", async (step) => {
  await using world = await openSessionWorld();
  expect(await live(world, step, "first")).toBe(true);

  await expectUnharmed(world, step);
});

test.each([
  ...STEPS.map((step) => [step, step] as const),
  ...START_STEPS.map((step) => ["after the digests are announced", step] as const),
  ...START_STEPS.map((step) => ["after the rename", step] as const),
])("nor does kill -9 %s and once more at the next start, %s", async (step, again) => {
  await using world = await openSessionWorld();
  expect(await live(world, step, "first")).toBe(true);
  await live(world, again, "again");

  await expectUnharmed(world, step);
});

test("after a kill at any step an edit of another session is still seen as one", async () => {
  for (const step of STEPS) {
    await using world = await openSessionWorld();
    expect(await live(world, step, "first")).toBe(true);
    const text = (await textOf(world.file)) ?? "";
    const line = text.split("\n").find((one) => one.includes("#7"));
    await Bun.write(world.file, text.replace(line ?? "", line?.replace(/000007/u, "edited") ?? ""));

    const { table } = await world.open();

    expect(world.warnings()).toEqual(["a session was changed by hand in sessions.json"]);
    expect(await table.all()).toEqual(
      sessionsAt(step).map((row) =>
        row.number === 7 ? { ...row, sessionId: expect.stringMatching(/edited$/) } : row,
      ),
    );
  }
}, 30_000);

test("what a failed write has announced does not count once the next one has gone another way", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  const one = aSession("boss", 1);
  for (const number of [1, 2]) await setSession(store, aSession("boss", number));
  await store.mirror.flush();
  await Bun.$`mv ${world.file} ${world.file}.kept && mkdir ${world.file}`;
  await setSession(store, { ...one, resumes: 1 });
  await store.mirror.flush();
  await Bun.$`rmdir ${world.file} && mv ${world.file}.kept ${world.file}`;
  expect(world.warnings()).toHaveLength(1);

  await setSession(store, one);
  await setSession(store, aSession("boss", 2, { resumes: 1 }));
  await store.mirror.flush();
  await setSession(store, { ...one, resumes: 2 });
  const next = await world.openBeside();

  expect((await next.table.get(one.key))?.resumes).toBe(2);
  expect(world.warnings()).toHaveLength(1);
});

test("a write that failed before its rename leaves nothing that the next kill could confuse", async () => {
  await using world = await openSessionWorld();
  const store = await world.open();
  const { key } = aSession("boss", 1);
  await setSession(store, aSession("boss", 1));
  await setSession(store, aSession("boss", 2));
  await store.mirror.flush();
  const shown = (await textOf(world.file)) ?? "";
  const { database } = world;
  // A directory in its place makes each rename fail, after the announcement.
  await Bun.$`mv ${world.file} ${world.file}.kept && mkdir ${world.file}`;
  for (const resumes of [1, 2, 3]) {
    await setSession(store, aSession("boss", 1, { resumes }));
    await dropSession(store, aSession("boss", 2).key);
    await store.mirror.flush();
  }
  expect(world.warnings()).toHaveLength(3);
  await Bun.$`rmdir ${world.file} && mv ${world.file}.kept ${world.file}`;
  expect(await textOf(world.file)).toBe(shown);

  // A start as after kill -9: the one before is not closed.
  const next = await world.openBeside();

  expect((await next.table.get(key))?.resumes).toBe(3);
  expect(await next.table.count()).toBe(1);
  expect(world.warnings()).toHaveLength(3);
  expect(database.warnings).toEqual([]);
});
