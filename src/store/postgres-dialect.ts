import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  type PostgresPool,
  PostgresQueryCompiler,
  type TransactionSettings,
} from "kysely";

/** The advisory lock that every writing transaction holds; any fixed number, the same in all versions. */
export const WRITER_LOCK = 5_022_140_917;

/** How long a transaction may wait for its turn, and how long one statement of it may take. */
const STATEMENT_MS_MAX = 10_000;

/**
 * How long a transaction may sit between two statements. A process that is stopped, or a host that
 * vanishes, in the middle of one would hold up all others; the server ends it long before a lease (30 s).
 */
const IDLE_MS_MAX = 5000;

/**
 * Kysely's PostgreSQL dialect with transactions that stand in for SQLite's: a writing one waits for
 * all that are under way, of every process, before it reads anything, and holds the others off until
 * its commit. So what a transaction has read is still so when it writes, and numbers are given out in
 * the order of the commits. Only somebody who does not take turns (an operator's own statements, a
 * single one of ours) can make the server end one: see transact.ts.
 * A reading one sees one state throughout and waits for nobody. The settings are those of the
 * transaction, because behind PgBouncer the next one may have another connection.
 */
export function postgresDialect(pool: PostgresPool, statementMs = STATEMENT_MS_MAX): Dialect {
  return {
    createDriver: () => new TurnTakingDriver({ pool }, statementMs),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createAdapter: () => new LocklessAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
  };
}

type Connection = Parameters<PostgresDriver["rollbackTransaction"]>[0];

class TurnTakingDriver extends PostgresDriver {
  readonly #statementMs: number;

  constructor(config: { readonly pool: PostgresPool }, statementMs: number) {
    super(config);
    this.#statementMs = statementMs;
  }

  override async beginTransaction(
    connection: DatabaseConnection,
    settings: TransactionSettings,
  ): Promise<void> {
    const limits = `set local statement_timeout = ${this.#statementMs};
      set local idle_in_transaction_session_timeout = ${IDLE_MS_MAX}`;
    // Read committed: each statement sees what was committed before it, so also before the turn came.
    const begin =
      settings.accessMode === "read only"
        ? `begin isolation level repeatable read read only; ${limits}`
        : `begin isolation level read committed; ${limits};
          select pg_advisory_xact_lock(${WRITER_LOCK})`;
    try {
      await connection.executeQuery(CompiledQuery.raw(begin));
    } catch (error) {
      // Kysely takes a transaction that did not begin for none; this one may have begun and waits.
      await this.#abandon(connection as Connection);
      throw error;
    }
  }

  /** A connection that cannot even roll back has ended, which the pool hears, and is not used again. */
  async #abandon(connection: Connection): Promise<void> {
    try {
      await this.rollbackTransaction(connection);
    } catch {
      return;
    }
  }
}

/** Migrations run in a writing transaction, which is all the lock they need. */
class LocklessAdapter extends PostgresAdapter {
  override async acquireMigrationLock(): Promise<void> {
    // Held already.
  }

  override async releaseMigrationLock(): Promise<void> {
    // Ends with the transaction.
  }
}
