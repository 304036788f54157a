import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kysely } from "kysely";
import type { Store } from "../../src/ports/store.ts";
import { openSessionStore } from "../../src/sessions/store.ts";
import { openPostgresStore } from "../../src/store/open-postgres-store.ts";
import { openStore } from "../../src/store/open-store.ts";
import { postgresDialect } from "../../src/store/postgres-dialect.ts";
import { openPostgresPool } from "../../src/store/postgres-pool.ts";
import { versionRefusal } from "../../src/store/postgres-refusal.ts";
import type { Tables } from "../../src/store/tables.ts";
import { PASSWORD, sharedCluster, startPostgresCluster } from "../support/postgres-cluster.ts";
import { postgresWorld, until } from "../support/postgres-world.ts";
import {
  aDelivery,
  anOrder,
  aResult,
  aSession,
  claimReconcile,
  issueMark,
  NOON,
  orderRun,
  resolveAll,
} from "../support/store-world.ts";

setDefaultTimeout(60_000);

const LEASE_MS = 30_000;
const ignored = () => undefined;
const silent = { debug: ignored, info: ignored, warn: ignored, error: ignored };

describe("several processes on one database", () => {
  test("of eight owners, each with connections of its own, every order goes to one within the limits", async () => {
    await using world = await postgresWorld();
    const now = () => NOON;
    const stores = await Promise.all(
      Array.from({ length: 8 }, (_, index) => world.open(`w${index}`, now)),
    );
    const [first] = stores;
    if (first === undefined) throw new Error("no store");
    for (let number = 1; number <= 40; number += 1) {
      await orderRun(first, number, anOrder({ agent: number % 2 === 0 ? "boss" : "reviewer" }));
    }
    const live = new Map<number, string>();
    const worst = { all: 0, agent: 0 };
    let done = 0;
    let asked = 0;
    const race = async (store: Store, owner: string): Promise<void> => {
      while (done < 40) {
        const claim = await store.work.claimRun(owner, LEASE_MS, { runs: 5, runsPerAgent: 3 });
        asked += 1;
        if (claim === null) continue;
        expect(live.has(claim.item.number)).toBe(false);
        live.set(claim.item.number, claim.order.agent);
        const same = [...live.values()].filter((agent) => agent === claim.order.agent);
        worst.all = Math.max(worst.all, live.size);
        worst.agent = Math.max(worst.agent, same.length);
        // Held until the others have asked for more than there is.
        const enough = asked + 16;
        while (asked < enough && done + live.size < 40) {
          await store.work.heartbeat(claim, LEASE_MS);
        }
        live.delete(claim.item.number);
        done += 1;
        expect(await store.work.settleRun(claim, { notBefore: null, park: null })).toBe(true);
      }
    };

    await Promise.all(stores.map((store, index) => race(store, `w${index}`)));

    expect(done).toBe(40);
    expect(worst).toEqual({ all: 5, agent: 3 });
  });

  test("marks of all are counted, and no two reconcile one item", async () => {
    await using world = await postgresWorld();
    const stores = await Promise.all(["a", "b", "c", "d"].map((self) => world.open(self)));
    const marks = Array.from({ length: 10 }, (_, index) => issueMark(index + 1));
    await Promise.all(
      stores.flatMap((store) => marks.map((mark) => store.work.mark([mark], true))),
    );
    await Promise.all(stores.map(resolveAll));
    const claims = await Promise.all(
      stores.flatMap((store, index) =>
        Array.from({ length: 10 }, () => store.work.claimReconcile(`w${index}`, LEASE_MS)),
      ),
    );

    const numbers = claims.flatMap((claim) => claim?.item.number ?? []);
    expect(numbers.toSorted((a, b) => a - b)).toEqual(marks.map((_, index) => index + 1));
  });

  test("one delivery that comes to several is accepted once", async () => {
    await using world = await postgresWorld();
    const stores = await Promise.all(["a", "b", "c"].map((self) => world.open(self)));

    const answers = await Promise.all(
      stores.flatMap((store) =>
        Array.from({ length: 20 }, (_, index) =>
          store.deliveries.record(aDelivery(`d${index}`), [issueMark(index + 1)]),
        ),
      ),
    );

    expect(answers.filter((answer) => answer === "accepted")).toHaveLength(20);
  });

  test("an empty database is made ready by one of them", async () => {
    await using world = await postgresWorld();

    const stores = await Promise.all(["a", "b", "c", "d"].map((self) => world.open(self)));

    for (const store of stores) expect(await store.sessions.count()).toBe(0);
  });

  test("what one writes wakes the others, also after their line was cut", async () => {
    await using world = await postgresWorld();
    const [writer, reader] = [await world.open("a"), await world.open("b")];
    let wakes = 0;
    reader.onWake(() => {
      wakes += 1;
    });
    const wakesWhen = async (number: number): Promise<void> => {
      const before = wakes;
      await until("a wake-up", async () => {
        await writer.work.mark([issueMark(number)], true);
        return wakes > before;
      });
    };
    await wakesWhen(1);
    const listening = `from pg_stat_activity where datname = '${world.database}' and query like 'listen%'`;
    await world.cluster.run(`select pg_terminate_backend(pid) ${listening}`);
    await until(
      "a new line",
      async () => (await world.cluster.run(`select pid ${listening}`)).length > 1,
    );

    await wakesWhen(2);
    expect(world.warnings.join()).toContain("the database is away");
  });

  test("a process that stops in the middle of a transaction holds up the others for some seconds only", async () => {
    await using world = await postgresWorld();
    const store = await world.open("a");
    const pool = openPostgresPool({
      address: world.address,
      statementMs: 60_000,
      onLost: () => undefined,
    });
    const stopped = new Kysely<Tables>({ dialect: postgresDialect(pool) });
    const wokenUp = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const transaction = stopped.transaction().execute(async (tx) => {
      await tx.insertInto("meta").values({ key: "half", value: "1" }).execute();
      began.resolve();
      await wokenUp.promise;
    });
    const ended = transaction.catch((error: unknown) => error);
    await began.promise;
    const begin = performance.now();

    await store.work.mark([issueMark(1)], true);

    expect(performance.now() - begin).toBeLessThan(9000);
    wokenUp.resolve();
    expect(await ended).toBeInstanceOf(Error);
    expect(await store.meta.get("half")).toBeNull();
    await stopped.destroy();
  }, 30_000);

  test("each has a sessions.json of its own with the sessions of all, and reads none", async () => {
    await using world = await postgresWorld();
    const now = () => NOON;
    const dirs = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), "ch-pg-mirror-"))));
    const opened = await Promise.all(
      dirs.map(async (stateDir, index) => {
        const store = await world.open(`w${index}`);
        await Bun.write(join(stateDir, "sessions.json"), '{"boss:acme/widgets#9":"by-hand"}');
        const table = store.sessions;
        const sessions = await openSessionStore({
          table,
          stateDir,
          now,
          log: silent,
          isShared: true,
        });
        store.onWake(() => sessions.mirror.changed());
        return { store, sessions };
      }),
    );
    const [one, two] = opened;
    if (one === undefined || two === undefined) throw new Error("two were opened");
    await one.store.sessions.put(aSession("boss", 1));
    await two.store.sessions.put(aSession("boss", 2));
    await one.store.sessions.drop(aSession("boss", 1).key);

    for (const { sessions } of opened) await sessions.mirror.flush();

    for (const dir of dirs) {
      const file = JSON.parse(await readFile(join(dir, "sessions.json"), "utf8"));
      const keys = file.sessions.map(({ key }: { key: string }) => key);
      expect(keys).toEqual([aSession("boss", 2).key]);
    }
    for (const { sessions } of opened) await sessions.mirror.close();
    for (const dir of dirs) await rm(dir, { recursive: true, force: true });
  });
});

describe("a server that is killed", () => {
  test("loses nothing that was acknowledged, and is used again as soon as it is back", async () => {
    const cluster = await startPostgresCluster({ fsync: true });
    try {
      await using world = await postgresWorld(cluster);
      const store = await world.open("a");
      const acknowledged: string[] = [];
      const refused: unknown[] = [];
      let isOver = false;
      const load = Array.from({ length: 4 }, async (_, index) => {
        for (let count = 0; !isOver; count += 1) {
          const id = `d${index}-${count}`;
          await store.deliveries.record(aDelivery(id), [issueMark(count + 1)]).then(
            () => acknowledged.push(id),
            (error: unknown) => refused.push(error),
          );
          await Bun.sleep(1);
        }
      });
      for (let kill = 0; kill < 3; kill += 1) {
        const before = acknowledged.length;
        await until("load", () => acknowledged.length > before + 100);
        await cluster.kill();
        await cluster.start();
      }
      const after = acknowledged.length;
      await until("work after the last start", () => acknowledged.length > after + 100);
      isOver = true;
      await Promise.all(load);

      const rows = await cluster.run("select id from delivery", world.database);
      const kept = new Set(rows.map(({ id }) => id));
      expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
      expect(refused.length).toBeGreaterThan(0);
      const claim = await (async () => {
        await resolveAll(store);
        return await claimReconcile(store);
      })();
      expect(await store.work.settleReconcile(claim, aResult())).toBe(true);
    } finally {
      await cluster.stop();
    }
  }, 60_000);
});

describe("a database that cannot be used is named with the remedy", () => {
  test.each([
    ["nobody listens", { port: 1 }, "cannot be used"],
    ["it is not there", { database: "nowhere" }, "has no database nowhere: make it (createdb"],
    ["no password is given", { user: "locked" }, "does not let locked in"],
    ["the password is wrong", { user: "locked", password: "hunter22" }, "does not let locked in"],
    ["the rights are missing", { user: "poor" }, "poor may not make or use the tables"],
  ])("%s", async (_what, parts, words) => {
    const cluster = await sharedCluster();
    const address = cluster.address({
      database: new URL(await cluster.createDatabase()).pathname.slice(1),
      ...parts,
    });

    const failure = await openPostgresStore({ address, self: "a" }).catch(
      (error: unknown) => error,
    );

    expect(failure).toMatchObject({ name: "StoreFailure", kind: "open" });
    expect(String(failure)).toContain(words);
    expect(String(failure)).not.toContain("hunter22");
  });

  test("the right password opens it for its owner", async () => {
    const cluster = await sharedCluster();
    const database = new URL(await cluster.createDatabase()).pathname.slice(1);
    await cluster.run(`alter database ${database} owner to locked`);
    const address = cluster.address({ database, user: "locked", password: PASSWORD });

    const { store } = await openPostgresStore({ address, self: "a" });

    expect(await store.sessions.count()).toBe(0);
    await store.close();
  });

  test.each([
    [140_012, "version 14, at least 15"],
    [90_624, "version 9, at least 15"],
  ])("version %p is too old", (version, words) => {
    expect(versionRefusal("postgres://a@db/x", version)?.message).toContain(words);
  });

  test.each([150_000, 150_018, 180_004])("version %p is new enough", (version) => {
    expect(versionRefusal("postgres://a@db/x", version)).toBeNull();
  });

  test("tables of a newer program are left alone", async () => {
    await using world = await postgresWorld();
    await world.open("a");
    await world.cluster.run(
      "insert into kysely_migration values ('9999_future', '2030')",
      world.database,
    );

    expect(await world.open("b").catch((error: unknown) => error)).toMatchObject({
      name: "StoreFailure",
      kind: "newer",
    });
  });
});

test("it has the tables and columns of SQLite, and one more that says which changes were read", async () => {
  await using world = await postgresWorld();
  await world.open("a");
  const dir = await mkdtemp(join(tmpdir(), "ch-pg-tables-"));
  const path = join(dir, "a.db");
  await (await openStore({ path, now: () => NOON })).close();
  const sqlite = new Database(path);
  const expected = sqlite
    .query<{ name: string }, []>(
      `select t.name || '.' || c.name as name from pragma_table_list t, pragma_table_info(t.name) c
       where t.schema = 'main' and t.name not like 'sqlite_%' and t.name not like 'kysely_%'`,
    )
    .all()
    .map(({ name }) => name);
  sqlite.close();
  await rm(dir, { recursive: true, force: true });

  const rows = await world.cluster.run(
    `select table_name || '.' || column_name as name from information_schema.columns
     where table_schema = 'public' and table_name not like 'kysely_%' and table_name not like 'transcript%'`,
    world.database,
  );

  const names = rows.map(({ name }) => String(name));
  expect(names.toSorted()).toEqual([...expected, "session_stale.version"].toSorted());
});

test("its clock is the database's, and a text with the character 0 is kept without it", async () => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  const [row] = await world.cluster.run(
    "select extract(epoch from clock_timestamp()) * 1000 as at",
  );

  expect(Math.abs(store.now() - Number(row?.["at"]))).toBeLessThan(2000);
  const odd = aDelivery("odd", { reason: "a\u0000b" });
  expect(await store.deliveries.record(odd, [])).toBe("accepted");
  expect((await store.deliveries.list(1, null)).rows[0]?.reason).toBe("a\ufffdb");
});
