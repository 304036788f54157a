import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kysely } from "kysely";
import { bunSqliteDialect } from "../../src/store/bun-sqlite-dialect.ts";
import { migrate } from "../../src/store/migrations.ts";
import { assembleStore } from "../../src/store/open-store.ts";
import { createSessionLines } from "../../src/store/session-lines.ts";
import type { Tables } from "../../src/store/tables.ts";
import { type Transact, transactOnce, waysOver } from "../../src/store/transact.ts";
import {
  aDelivery,
  anEnd,
  aResult,
  aSeen,
  aSession,
  aStart,
  claimReconcile,
  claimRun,
  issueMark,
  itemRef,
  markItem,
  NOON,
  orderRun,
} from "../support/store-world.ts";

type Store = ReturnType<typeof assembleStore>;

class Ended extends Error {
  override readonly name = "Ended";
}

/** Every body is carried out, undone at its end as PostgreSQL does to a victim, and carried out again. */
function transactTwice(db: Kysely<Tables>): Transact<Tables> {
  return async (body) => {
    await db
      .transaction()
      .execute(async (tx) => {
        await body(tx);
        throw new Ended("in favour of another");
      })
      .catch((error: unknown) => {
        if (!(error instanceof Ended)) throw error;
      });
    return await db.transaction().execute(body);
  };
}

/** One call of everything that writes in a transaction, and what it answered. */
async function everything(store: Store, clock: { now: number }): Promise<unknown[]> {
  const { work, runs, sessions, effects, conversations } = store;
  const { lines } = sessions;
  const answers: unknown[] = [];
  const note = (answer: unknown): number => answers.push(answer);
  note(
    await Promise.all([
      store.deliveries.record(aDelivery("d1"), [issueMark(1)]),
      store.deliveries.record(aDelivery("d1"), [issueMark(1)]),
      store.deliveries.record(aDelivery("d2", { bodySha256: aDelivery("d1").bodySha256 }), []),
    ]),
  );
  await markItem(store, 1);
  const look = await claimReconcile(store);
  note(await work.settleReconcile(look, aResult({ state: "waiting" })));
  for (const number of [2, 3, 4]) await orderRun(store, number);
  const claim = await claimRun(store);
  note(
    await runs.start(claim, { ...aStart("r1", claim), begins: { why: "first", handOver: null } }),
  );
  note(await effects.intend({ key: "k", run: "r1", item: itemRef(2), tool: "reply", at: NOON }));
  await runs.pushed("r1", "boss/2", "0".repeat(40));
  const session = aSession("boss", 2, { sessionId: "11111111-0000-4000-8000-000000000002" });
  const told = {
    shown: [],
    seen: aSeen(),
    begins: { why: "context", handOver: "so far" },
  } as const;
  await runs.sessionChanged("r1", session, told);
  await conversations.ending([session.key], "closed");
  await runs.end(anEnd("r1", { session }));
  const park = { row: "implement", name: "n", reason: "r", until: null, since: NOON } as const;
  note(await work.settleRun(claim, { notBefore: null, park }));
  note(await work.hold(itemRef(1), { kind: "parked", agent: null, since: NOON, known: null }));
  note(await work.goOn(itemRef(1)));
  const lost = await claimRun(store);
  await runs.start(lost, aStart("r2", lost));
  clock.now += 31_000;
  note(await work.reap(null));
  note(await store.pulls.write("acme/widgets", 9, 1));
  note(await work.claimSweep("me", 1000));
  await Promise.all([5, 6].map(async (number) => sessions.put(aSession("boss", number))));
  await sessions.put(aSession("boss", 7));
  // Of a session that is dropped without a word the end is told by the database's own clock.
  await conversations.ending(
    [5, 6].map((number) => aSession("boss", number).key),
    "closed",
  );
  note(await sessions.drop(aSession("boss", 5).key));
  note(await sessions.dropAll("acme/widgets", 6));
  const owner = await lines.claim();
  const keys = (await lines.takeStale(owner, 100)) ?? [];
  note([owner, keys]);
  const many = keys.map((key) => ({ key, digest: `digest of ${key}` }));
  note(await lines.announce(owner, many));
  note(await lines.confirm(owner));
  note(await lines.announce(owner, many.slice(0, 1)));
  note(await lines.withdraw(owner));
  const change = { kind: "put", session: aSession("boss", 8) } as const;
  note(await lines.settle(owner, [{ key: change.session.key, written: "w", change }]));
  note(await lines.page("", 100));
  note(await runs.spent(2));
  note(await claimReconcile(store));
  note(await claimRun(store));
  return answers;
}

async function played(
  transactOf: (db: Kysely<Tables>) => Transact<Tables>,
): Promise<{ readonly answers: unknown; readonly rows: unknown }> {
  const directory = await mkdtemp(join(tmpdir(), "store-twice-"));
  try {
    const path = join(directory, "claude-hooks.db");
    const db = new Kysely<Tables>({ dialect: bunSqliteDialect(path) });
    await migrate(db);
    const clock = { now: NOON };
    const store = assembleStore({
      ...{ db, ways: waysOver(db, transactOf(db)), now: () => clock.now, warn: () => undefined },
      createLines: createSessionLines,
      announce: () => undefined,
      checkpoint: async () => undefined,
      close: async () => await db.destroy(),
    });
    const answers = await everything(store, clock);
    await store.close();
    return { answers, rows: rowsOf(path) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function rowsOf(path: string): unknown {
  using db = new Database(path, { readonly: true });
  const tables = db
    .query<{ name: string }, []>(
      "select name from sqlite_master where type = 'table' and name not like 'kysely%' order by name",
    )
    .all();
  return Object.fromEntries(
    tables.map(({ name }) => [name, db.query(`select * from "${name}"`).all()]),
  );
}

test("a transaction that has to be done again leaves what one leaves that was done once", async () => {
  const once = await played(transactOnce);
  const twice = await played(transactTwice);

  expect(twice.answers).toEqual(once.answers);
  expect(twice.rows).toEqual(once.rows);
});
