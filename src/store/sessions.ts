import { CompiledQuery } from "kysely";
import { StoreFailure } from "../ports/store/failure.ts";
import type { SessionRow, SessionTable } from "../ports/store/sessions.ts";
import type { Executor, StoreContext } from "./context.ts";
import type { SessionColumns } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** The row of `meta` that says a session was dropped once, so that an empty table is no new one. */
const DROPPED = "sessions.dropped";

const UPSERT = `insert into session
    (key, agent, repo, number, session_id, created_at, updated_at, resumes, tainted, usd_total)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  on conflict (key) do update set
    session_id = excluded.session_id,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    resumes = excluded.resumes,
    tainted = excluded.tainted,
    usd_total = excluded.usd_total`;

/** Sessions committed together; what comes on top is the next batch. */
const BATCH_MAX = 500;

interface Waiting {
  readonly row: SessionRow;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The table of sessions with group commit: puts of one turn of the event loop share one transaction
 * and so one sync of the disk. `settled` resolves when no put waits any more; what removes sessions waits for
 * the puts that were asked for before it.
 */
export function createSessions(
  context: StoreContext,
): Omit<SessionTable, "lines"> & { settled(): Promise<void> } {
  const { db, transact, transactCompiled } = context;
  const waiting: Waiting[] = [];
  let committing: Promise<void> | null = null;

  const commitAll = async () => {
    // The turn of the event loop that brought the first put may bring more.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (waiting.length > 0) await commitBatch(transactCompiled, waiting.splice(0, BATCH_MAX));
    committing = null;
  };

  return {
    ...readSessions(db),
    put(row) {
      return new Promise<void>((resolve, reject) => {
        waiting.push({ row, resolve, reject });
        committing ??= commitAll();
      });
    },
    async drop(key) {
      await committing;
      return transact((tx) => deleteSession(tx, key));
    },
    async dropAll(repo, number) {
      await committing;
      return transact(async (tx) => {
        const dropped = await tx
          .deleteFrom("session")
          .where("repo", "=", repo.toLowerCase())
          .where("number", "=", number)
          .returning("key")
          .execute();
        if (dropped.length > 0) await rememberDrop(tx);
        return dropped.map((row) => row.key).sort();
      });
    },
    async settled() {
      await committing;
    },
  };
}

/** What only reads the table. */
function readSessions(
  db: Executor,
): Pick<SessionTable, "get" | "all" | "unused" | "count" | "isPristine"> {
  return {
    async get(key) {
      const row = await db
        .selectFrom("session")
        .selectAll()
        .where("key", "=", key)
        .executeTakeFirst();
      return row === undefined ? null : toSession(row);
    },
    async all() {
      const rows = await db.selectFrom("session").selectAll().orderBy("key").execute();
      return rows.map(toSession);
    },
    async unused(before, limit) {
      const rows = await db
        .selectFrom("session")
        .selectAll()
        .where("updated_at", "<", before)
        .orderBy("updated_at")
        .limit(limit)
        .execute();
      return rows.map(toSession);
    },
    async count() {
      return countSessions(db);
    },
    async isPristine() {
      const dropped = await db
        .selectFrom("meta")
        .select("key")
        .where("key", "=", DROPPED)
        .executeTakeFirst();
      return dropped === undefined && (await countSessions(db)) === 0;
    },
  };
}

async function commitBatch(
  transactCompiled: StoreContext["transactCompiled"],
  batch: readonly Waiting[],
): Promise<void> {
  try {
    const rows = batch.map((entry) => entry.row);
    await transactCompiled((execute) => putSessions(execute, rows));
  } catch (error) {
    const isOfAll = error instanceof StoreFailure && error.kind === "conflict";
    if (isOfAll || batch.length === 1) {
      for (const entry of batch) entry.reject(error);
      return;
    }
    // One session the database refuses must not take its neighbours with it.
    for (const entry of batch) await commitBatch(transactCompiled, [entry]);
    return;
  }
  for (const entry of batch) entry.resolve();
}

/** Inserts or replaces, also inside the transaction of a run. */
export async function putSessions(execute: Execute, rows: readonly SessionRow[]): Promise<void> {
  // One row a statement: SQLite keeps a journal of its own for a statement of several, and compiling
  // it took longer than running it (measured, 50 rows with fsync: 1.2 ms against 1.8 ms).
  for (const row of rows) {
    await execute(
      CompiledQuery.raw(UPSERT, [
        row.key,
        row.agent,
        row.repo.toLowerCase(),
        row.number,
        row.sessionId,
        row.createdAt,
        row.updatedAt,
        row.resumes,
        row.tainted ? 1 : 0,
        row.usdTotal,
      ]),
    );
  }
}

/** Removes one session, also inside the transaction of a run; true when there was one. */
export async function deleteSession(tx: Executor, key: string): Promise<boolean> {
  const dropped = await tx
    .deleteFrom("session")
    .where("key", "=", key)
    .returning("key")
    .executeTakeFirst();
  if (dropped === undefined) return false;
  await rememberDrop(tx);
  return true;
}

async function rememberDrop(tx: Executor): Promise<void> {
  await tx
    .insertInto("meta")
    .values({ key: DROPPED, value: "1" })
    .onConflict((conflict) => conflict.column("key").doNothing())
    .execute();
}

async function countSessions(db: Executor): Promise<number> {
  const { count } = await db
    .selectFrom("session")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return count;
}

/** A row of `session` as the port has it. */
export function toSession(row: SessionColumns): SessionRow {
  return {
    key: row.key,
    agent: row.agent,
    repo: row.repo,
    number: row.number,
    sessionId: row.session_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    resumes: row.resumes,
    tainted: row.tainted === 1,
    usdTotal: row.usd_total,
  };
}
