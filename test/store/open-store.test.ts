import { Database, type SQLQueryBindings } from "bun:sqlite";
import { expect, test } from "bun:test";
import { chmod, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Kysely } from "kysely";
import { bunSqliteDialect } from "../../src/store/bun-sqlite-dialect.ts";
import { openStore } from "../../src/store/open-store.ts";
import { prepareTakeDue } from "../../src/store/reconcile-claims.ts";
import type { Tables } from "../../src/store/tables.ts";
import { aDelivery, issueMark, itemRef, markItem, openStoreWorld } from "../support/store-world.ts";

const failureOf = (path: string) =>
  openStore({ path, now: () => 0 }).then(
    async (store) => {
      await store.close();
      return null;
    },
    (error: unknown) => error,
  );

test("the database and its companions are readable by their owner only", async () => {
  await using world = await openStoreWorld();
  await world.store.close();
  await chmod(world.path, 0o644);
  const store = await openStore({ path: world.path, now: () => 0 });
  await store.deliveries.record(aDelivery("d1"), []);

  for (const name of [world.path, `${world.path}-wal`, `${world.path}-shm`]) {
    expect((await stat(name)).mode & 0o777).toBe(0o600);
  }
  await store.close();
  await world.reopen();
});

test("it is a write-ahead database with strict tables, made once", async () => {
  await using world = await openStoreWorld();
  await world.store.deliveries.record(aDelivery("d1"), []);
  await world.reopen();
  await world.reopen();

  const other = new Database(world.path);
  expect(other.query("pragma journal_mode").get()).toEqual({ journal_mode: "wal" });
  const loose = other
    .query(
      `select name from pragma_table_list
       where schema = 'main' and type = 'table' and strict = 0
         and name not like 'sqlite_%' and name not like 'kysely_%'`,
    )
    .all();
  expect(loose).toEqual([]);
  const done = other.query("select name from kysely_migration order by name").values().flat();
  expect(done).toEqual([...new Set(done)]);
  expect(done[0]).toBe("0001_tables");
  other.close();
  expect((await world.store.deliveries.list(10, null)).rows).toHaveLength(1);
});

test("a database of a newer version is refused and left alone", async () => {
  await using world = await openStoreWorld();
  await world.store.close();
  const other = new Database(world.path);
  other.run("insert into kysely_migration values ('9999_future', '2030-01-01T00:00:00.000Z')");
  other.close();

  const failure = await failureOf(world.path);

  expect(failure).toMatchObject({ name: "StoreFailure", kind: "newer" });
  expect(String(failure)).toContain("9999_future");
  const mended = new Database(world.path);
  mended.run("delete from kysely_migration where name = '9999_future'");
  mended.close();
  await world.reopen();
});

test("a migration that was cut off leaves nothing behind and is made at the next start", async () => {
  await using world = await openStoreWorld();
  const path = join(world.directory, "half.db");
  const half = new Database(path);
  half.run("create table meta (key text)");
  half.close();

  expect(await failureOf(path)).toMatchObject({ name: "StoreFailure", kind: "open" });
  const after = new Database(path);
  const names = after.query("select name from sqlite_schema where name = 'delivery'").all();
  after.run("drop table meta");
  after.close();

  expect(names).toEqual([]);
  expect(await failureOf(path)).toBeNull();
});

test("what is no database is refused with a remedy and left alone", async () => {
  await using world = await openStoreWorld();
  const path = join(world.directory, "text.db");
  await writeFile(path, "this is a text and no database, and it is long enough to be seen as one");

  const failure = await failureOf(path);

  expect(failure).toMatchObject({ name: "StoreFailure", kind: "open" });
  expect(String(failure)).toContain(path);
  expect(await readFile(path, "utf8")).toStartWith("this is a text");
});

test("a database that is a symbolic link is refused", async () => {
  await using world = await openStoreWorld();
  const path = join(world.directory, "link.db");
  await symlink(world.path, path);

  expect(await failureOf(path)).toMatchObject({ name: "StoreFailure", kind: "open" });
});

test("transactions that are asked for at the same time run one after the other", async () => {
  await using world = await openStoreWorld();
  const { store } = world;

  await Promise.all([
    ...Array.from({ length: 20 }, (_, index) => markItem(store, index + 1)),
    ...Array.from({ length: 20 }, (_, index) => store.pulls.write("acme/widgets", 100, index + 1)),
    ...Array.from({ length: 20 }, (_, index) =>
      store.deliveries.record(aDelivery(`d${index}`), [issueMark(1)]),
    ),
    ...Array.from({ length: 20 }, () => store.work.claimReconcile("racer", 1000)),
  ]);

  expect(await store.pulls.itemOf("acme/widgets", 100)).toBe(1);
  expect((await store.work.items(100, null)).rows.length).toBe(20);
});

test("closing waits for the deliveries that were already taken in", async () => {
  await using world = await openStoreWorld();
  const answer = world.store.deliveries.record(aDelivery("last"), []);

  const store = await world.reopen();

  expect(await answer).toBe("accepted");
  expect((await store.deliveries.list(1, null)).rows[0]?.id).toBe("last");
});

test("a claim among ten thousand marked items looks at a few rows only", async () => {
  await using world = await openStoreWorld();
  using other = new Database(world.path);
  const db = new Kysely<Tables>({ dialect: bunSqliteDialect(":memory:") });
  const { sql: text, parameters } = prepareTakeDue({ db })({ now: 1, owner: "me", until: 2 });
  const plan = other
    .query<{ detail: string }, SQLQueryBindings[]>(`explain query plan ${text}`)
    .all(...(parameters as SQLQueryBindings[]))
    .map(({ detail }) => detail);

  const reads = plan.filter((step) => /^(?:SCAN|SEARCH) item\b/u.test(step));
  expect(reads).toHaveLength(4);
  for (const index of ["PRIMARY KEY", "item_urgent", "item_marked", "item_look_again"]) {
    expect(reads.filter((step) => step.includes(index))).toHaveLength(1);
  }
});

test("a lock of another process is waited for without holding anything else of this one", async () => {
  await using world = await openStoreWorld();
  using other = new Database(world.path);
  other.run("begin exclusive");
  let turns = 0;
  const turning = setInterval(() => {
    turns += 1;
    // A second later, in turns of this process and not by the clock: it must go on meanwhile.
    if (turns === 50) other.run("rollback");
  }, 20);

  await Promise.all([
    world.store.meta.set("one", "1"),
    world.store.work.mark([issueMark(1)], true),
  ]);
  clearInterval(turning);

  expect(turns).toBeGreaterThanOrEqual(50);
  expect(await world.store.meta.get("one")).toBe("1");
}, 15_000);

test("what only looks needs no lock: it is answered while another process writes", async () => {
  await using world = await openStoreWorld();
  const { store } = world;
  using other = new Database(world.path);
  other.run("begin immediate");
  try {
    expect(await store.work.reap(null)).toBe(0);
    expect(await store.work.claimReconcile("one", 1000)).toBeNull();
    expect(await store.work.claimRun("one", 1000, { runs: 1, runsPerAgent: 1 })).toBeNull();
    expect((await store.ledger.read(itemRef(1))).runs).toEqual([]);
    expect(await store.meta.get("name")).toBeNull();
  } finally {
    other.run("rollback");
  }
});
