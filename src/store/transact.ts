import { setTimeout as wait } from "node:timers/promises";
import type { CompiledQuery, Kysely, Transaction } from "kysely";
import { type Backoff, backoffMs } from "../domain/backoff.ts";
import { StoreFailure } from "../ports/store/failure.ts";

/** Carries out a body in a writing transaction; the body may run several times, and only the last one counts. */
export type Transact<Tables> = <T>(body: (tx: Transaction<Tables>) => Promise<T>) => Promise<T>;

/** Carries out a statement that is compiled already; resolves with what it returned. */
export type Execute = <Row>(query: CompiledQuery<Row>) => Promise<readonly Row[]>;

/** A transaction of compiled statements; the body may run several times, and only the last one counts. */
type TransactCompiled = <T>(body: (execute: Execute) => Promise<T>) => Promise<T>;

/** How compiled statements are carried out by Kysely, inside a transaction of its own or each by itself. */
export function executeIn<Tables>(db: Pick<Kysely<Tables>, "executeQuery">): Execute {
  return async (query) => (await db.executeQuery(query)).rows;
}

/** The first row of what a statement returned. */
export async function firstOf<Row>(rows: Promise<readonly Row[]>): Promise<Row | undefined> {
  return (await rows)[0];
}

/** The ways to a database. */
export interface Ways<Tables> {
  /** A writing transaction; its body may run several times. Durable when it resolves. */
  readonly transact: Transact<Tables>;
  /**
   * As `transact`, for statements that are compiled already, on SQLite past Kysely's executor, which costs
   * as much as they do (measured: a delivery by itself 105 us of processor time against 190). `onCommit`
   * hears the result once others can read what was written, on SQLite before the disk has it.
   */
  readonly transactCompiled: <T>(
    body: (execute: Execute) => Promise<T>,
    onCommit?: (result: T) => void,
  ) => Promise<T>;
  /**
   * A writing transaction of what only the queue knows (who looks at what, what was decided, which run
   * begins); lost, it is found anew from marks and forge. On SQLite its caller does not wait for the disk:
   * whatever is done because of it is recorded first, and that sync covers it, too (ADR 0010). On
   * PostgreSQL, where other processes act on it, it is `transactCompiled`.
   */
  readonly transactQueue: TransactCompiled;
  /** Several statements that read one state; holds up no other process. */
  readonly transactReading: TransactCompiled;
  /** One reading statement by itself. It must not write: on SQLite nobody would wait for that. */
  readonly read: Execute;
  /** One writing statement by itself; durable when it resolves. */
  readonly write: Execute;
  /** The same of what only the queue knows, see `transactQueue`. */
  readonly writeQueue: Execute;
}

/** The ways that go through Kysely, whatever the engine. */
export function waysOver<Tables>(db: Kysely<Tables>, transact: Transact<Tables>): Ways<Tables> {
  const transactQueue: TransactCompiled = (body) => transact((tx) => body(executeIn(tx)));
  const alone = executeIn(db);
  return {
    transact,
    async transactCompiled(body, onCommit) {
      const result = await transactQueue(body);
      onCommit?.(result);
      return result;
    },
    transactQueue,
    transactReading: (body) =>
      db
        .transaction()
        .setAccessMode("read only")
        .execute((tx) => body(executeIn(tx))),
    read: alone,
    write: alone,
    writeQueue: alone,
  };
}

/** SQLSTATE of what the server ends so that others can go on (postgresql.org, appendix A). */
const CONFLICTS: readonly string[] = ["40001", "40P01"];
const TRIES_MAX = 5;
/** The server itself needs a second to see a deadlock; all pauses together are shorter than that. */
const PAUSE: Backoff = { firstMs: 10, mostMs: 160 };

/** Transactions that are tried once: where nobody else writes the same rows. */
export function transactOnce<Tables>(db: Kysely<Tables>): Transact<Tables> {
  return (body) => db.transaction().execute(body);
}

/** The same, begun anew as a whole when PostgreSQL ends one in favour of another, see `withoutConflict`. */
export function transactPatiently<Tables>(
  db: Kysely<Tables>,
  chance: () => number,
): Transact<Tables> {
  return (body) => withoutConflict(async () => await db.transaction().execute(body), chance);
}

/**
 * Does `work` again when the server ended it with a serialisation failure or as the victim of a
 * deadlock: then it has done nothing. Throws StoreFailure `conflict` after five times. `chance` is a
 * random number from 0 up to 1, so that two who have met do not meet again.
 */
export async function withoutConflict<T>(work: () => Promise<T>, chance: () => number): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attempt >= TRIES_MAX) throw conflict(error);
    }
    await wait(backoffMs(attempt, PAUSE, chance()));
  }
}

function isConflict(error: unknown): error is Error {
  return error instanceof Error && "code" in error && CONFLICTS.includes(String(error.code));
}

function conflict(error: Error): StoreFailure {
  return new StoreFailure(
    "conflict",
    `the database ended the same write ${TRIES_MAX} times in favour of another (${error.message}): look in pg_stat_activity for somebody else who writes these tables`,
    { cause: error },
  );
}
