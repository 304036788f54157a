import { setTimeout as wait } from "node:timers/promises";
import type { CompiledQuery, Kysely, Transaction } from "kysely";
import { type Backoff, backoffMs } from "../domain/backoff.ts";
import { StoreFailure } from "../ports/store/failure.ts";

/** Carries out a body in a writing transaction; the body may run several times, and only the last one counts. */
export type Transact<Tables> = <T>(body: (tx: Transaction<Tables>) => Promise<T>) => Promise<T>;

/** Carries out a statement that is compiled already; resolves with what it returned. */
export type Execute = <Row>(query: CompiledQuery<Row>) => Promise<readonly Row[]>;

/** A writing transaction of compiled statements; the body may run several times, and only the last one counts. */
export type TransactCompiled = <T>(body: (execute: Execute) => Promise<T>) => Promise<T>;

/** How compiled statements are carried out inside a transaction of Kysely's. */
export function executeIn<Tables>(tx: Pick<Transaction<Tables>, "executeQuery">): Execute {
  return async (query) => (await tx.executeQuery(query)).rows;
}

/** The same transactions for compiled statements, where there is no shorter way. */
export function compiledOver<Tables>(transact: Transact<Tables>): TransactCompiled {
  return (body) => transact((tx) => body(executeIn(tx)));
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
