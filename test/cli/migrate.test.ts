import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../../src/ports/store.ts";
import { lockStateDir } from "../../src/store/lock-state-dir.ts";
import { openPostgresStore } from "../../src/store/open-postgres-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import {
  fixtureWith,
  type TempDirectory,
  tempDirectory,
  writeFixture,
} from "../support/config-fixture.ts";
import { fillStore } from "../support/fill-store.ts";
import { sharedCluster } from "../support/postgres-cluster.ts";
import { aDelivery, aSession, issueMark, itemRef, NOON } from "../support/store-world.ts";
import { claudeHooks } from "./cli-world.ts";

setDefaultTimeout(60_000);

const DELIVERIES = 1234;
const MIGRATE = ["migrate", "sqlite-to-postgres"];
const SESSION = aSession("boss", 7);
const LINES = [
  '{"type":"user","uuid":"a"}',
  '{"type":"summary"}',
  '{"type":"assistant","uuid":"b"}',
];

interface Place extends AsyncDisposable {
  readonly directory: TempDirectory;
  readonly stateDir: string;
  readonly address: string;
  open(): Promise<Store>;
}

/** A state directory with a database that has something in it, and a configuration that names another one. */
async function place(): Promise<Place> {
  const directory = await tempDirectory();
  const address = await (await sharedCluster()).createDatabase();
  const stateDir = join(directory.path, "state");
  await mkdir(stateDir, { recursive: true });
  await writeFixture(directory, fixtureWith({ state_dir: "./state", database: address }));
  const open = () => openStore({ path: join(stateDir, "claude-hooks.db"), now: () => NOON });
  const store = await open();
  await fillStore(store, NOON);
  await Promise.all(
    Array.from({ length: DELIVERIES }, (_, index) =>
      store.deliveries.record(aDelivery(`d${index}`, { receivedAt: index }), [
        issueMark(index + 100),
      ]),
    ),
  );
  await store.sessions.put(SESSION);
  await store.close();
  const home = join(stateDir, "claude", SESSION.repo, "7", "boss", "projects", "-clone");
  await mkdir(home, { recursive: true });
  await writeFile(join(home, `${SESSION.sessionId}.jsonl`), `${LINES.join("\n")}\n{"type":"us`);
  return {
    ...{ directory, stateDir, address, open },
    [Symbol.asyncDispose]: async () => await directory[Symbol.asyncDispose](),
  };
}

test("everything is copied and counted, goes on from there, and the old database is not started from again", async () => {
  await using world = await place();

  const { code, out, errors } = await claudeHooks(world.directory, [...MIGRATE, "--json"]);

  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  const answer = JSON.parse(out);
  expect(answer).toMatchObject({ ok: true, target: expect.stringContaining("127.0.0.1") });
  const rows = Object.fromEntries(
    answer.tables.map(({ table, rows }: { table: string; rows: number }) => [table, rows]),
  );
  expect(rows).toMatchObject({ delivery: DELIVERIES, mark: DELIVERIES, run: 1, session: 2 });
  expect(rows["transcript_line"]).toBe(LINES.length);

  const old = await world.open();
  const { store, transcripts } = await openPostgresStore({
    address: world.address,
    self: "a",
    now: () => NOON,
  });
  const both = [old, store];
  const seen = await Promise.all(
    both.map(async (one) => ({
      ledger: await one.ledger.read(itemRef(42)),
      items: await one.work.items(100, null),
      sessions: await one.sessions.all(),
      history: await one.conversations.of(SESSION.key, 10),
      deliveries: await one.deliveries.list(500, null),
      marks: await one.work.unresolved(2000),
      totals: await one.runs.totals(),
    })),
  );
  expect(seen[1]).toEqual(seen[0]);
  const key = { session: SESSION.key, id: SESSION.sessionId };
  const lines = await transcripts.lines(key, { from: null, limit: 10, order: "forward" });
  expect(lines.map(({ text }) => text)).toEqual(LINES);
  // What is given out goes on behind what was copied.
  await Promise.all(both.map((one) => one.deliveries.record(aDelivery("next"), [issueMark(1)])));
  const newest = await Promise.all(both.map((one) => one.deliveries.list(1, null)));
  expect(newest[1]).toEqual(newest[0]);
  await Promise.all(both.map((one) => one.close()));

  const again = await claudeHooks(world.directory, MIGRATE);
  expect(again).toMatchObject({ code: 1, errors: expect.stringContaining("already") });
  await writeFixture(world.directory, fixtureWith({ state_dir: "./state" }));
  const start = await claudeHooks(world.directory, ["serve"]);
  expect(start).toMatchObject({ code: 2, errors: expect.stringContaining("was copied to") });
});

test("a target that holds something, a service that runs, and no target are refused, and nothing is changed", async () => {
  await using world = await place();
  const { store } = await openPostgresStore({ address: world.address, self: "a" });
  await store.deliveries.record(aDelivery("here"), []);
  await store.close();

  const full = await claudeHooks(world.directory, MIGRATE);
  expect(full).toMatchObject({
    code: 1,
    errors: expect.stringContaining("is not empty (table delivery)"),
  });

  const lock = lockStateDir({
    stateDir: world.stateDir,
    pid: process.pid,
    version: "1",
    startedAt: NOON,
  });
  if (!lock.ok) throw new Error(lock.problem);
  const running = await claudeHooks(world.directory, MIGRATE);
  lock.release();
  expect(running).toMatchObject({ code: 1, errors: expect.stringContaining("stop it first") });

  await writeFixture(world.directory, fixtureWith({ state_dir: "./state" }));
  const nowhere = await claudeHooks(world.directory, MIGRATE);
  expect(nowhere).toMatchObject({ code: 2, errors: expect.stringContaining("database is null") });
  const old = await world.open();
  expect(await old.meta.get("moved_to")).toBeNull();
  await old.close();
});
