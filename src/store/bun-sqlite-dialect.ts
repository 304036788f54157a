import { setImmediate as nextTurn } from "node:timers/promises";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type Transaction,
} from "kysely";
import {
  openSqliteConnection,
  type SqliteConnection,
  type SqliteOptions,
} from "./sqlite-connection.ts";
import type { Execute, Transact, TransactCompiled } from "./transact.ts";

/**
 * Kysely over one connection of `bun:sqlite` to the file `path` (`:memory:` for none). Kysely itself
 * queues for the connection, because the adapter says there is only one: transactions run one after
 * the other. What a write resolves with survives a power cut, except with `transactQueue`; the disk is
 * waited for beside the event loop.
 */
export function bunSqliteDialect(path: string, options: SqliteOptions = {}): BunSqliteDialect {
  const driver = createDriver(path, options);
  return {
    transact: (db) => async (body) => {
      const { result, wrote } = await kyselyTransaction(driver, db, body);
      if (wrote) await driver.flush();
      return result;
    },
    transactQueue: (db) => async (body) => (await kyselyTransaction(driver, db, body)).result,
    transactCompiled: (db) => async (body) => {
      const { result, wrote } = await db
        .connection()
        .execute(async () => await driver.transact(body));
      if (wrote) await driver.flush();
      return result;
    },
    createDriver: () => driver,
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalDdlAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/**
 * Kysely's dialect, and writing transactions for a database that was made with it. They give the
 * connection on once they have committed: only their caller waits for the disk. A writing statement by
 * itself keeps the connection until the disk has it.
 */
export interface BunSqliteDialect extends Dialect {
  readonly transact: <Tables>(db: Kysely<Tables>) => Transact<Tables>;
  /** Does not wait for the disk: see StoreContext. */
  readonly transactQueue: <Tables>(db: Kysely<Tables>) => Transact<Tables>;
  /** As `transact`, past Kysely's executor. */
  readonly transactCompiled: <Tables>(db: Kysely<Tables>) => TransactCompiled;
}

/** What a committed transaction resolved with, and whether it wrote something that is not on the disk yet. */
interface Committed<T> {
  readonly result: T;
  readonly wrote: boolean;
}

interface SqliteDriver extends Driver {
  /** Carries out a transaction of the holder of the connection. */
  transact<T>(body: (execute: Execute) => Promise<T>): Promise<Committed<T>>;
  /** The same for one of Kysely's: its commit does not wait for the disk. */
  withoutWaiting<T>(transaction: () => Promise<T>): Promise<Committed<T>>;
  /** Resolves when everything that was committed before is on the disk. */
  flush(): Promise<void>;
}

async function kyselyTransaction<Tables, T>(
  driver: SqliteDriver,
  db: Kysely<Tables>,
  body: (tx: Transaction<Tables>) => Promise<T>,
): Promise<Committed<T>> {
  return await db
    .connection()
    .execute(async (one) => await driver.withoutWaiting(() => one.transaction().execute(body)));
}

/** SQLite rolls back CREATE TABLE like any other write; Kysely's own adapter does not use that. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function createDriver(path: string, options: SqliteOptions): SqliteDriver {
  let open: SqliteConnection | null = null;
  // Set while `withoutWaiting` runs: where its commit notes whether it wrote. Any other commit waits for the disk.
  let notWaiting: { wrote: boolean } | null = null;
  let inUse: PromiseWithResolvers<void> | null = null;
  const opened = () => {
    if (open === null) throw new Error("the SQLite driver is used before init or after destroy");
    return open;
  };
  const connection = connectionOver(opened);
  return {
    async transact(body) {
      const { begin, perform, commit, rollback } = opened();
      await begin("writing");
      try {
        const result = await body(async <Row>(query: CompiledQuery<Row>) => perform(query).rows);
        return { result, wrote: commit() };
      } catch (error) {
        rollback();
        throw error;
      }
    },
    async withoutWaiting(transaction) {
      const note = { wrote: false };
      notWaiting = note;
      try {
        return { result: await transaction(), wrote: note.wrote };
      } finally {
        notWaiting = null;
      }
    },
    // Closing has flushed everything.
    flush: async () => await open?.flush(),
    async init() {
      open = openSqliteConnection(path, options);
    },
    async acquireConnection() {
      opened();
      inUse = Promise.withResolvers();
      return connection;
    },
    async releaseConnection() {
      inUse?.resolve();
      inUse = null;
    },
    async beginTransaction(_connection, { accessMode }) {
      await opened().begin(accessMode === "read only" ? "reading" : "writing");
    },
    async commitTransaction() {
      const { commit, flush } = opened();
      const wrote = commit();
      if (notWaiting !== null) notWaiting.wrote = wrote;
      else if (wrote) await flush();
    },
    async rollbackTransaction() {
      opened().rollback();
    },
    async destroy() {
      // Whoever has the connection, or waits for it in Kysely's queue, goes first: nobody new gets in.
      for (await nextTurn(); inUse !== null; await nextTurn()) await inUse.promise;
      await opened().close();
      open = null;
    },
  };
}

function connectionOver(opened: () => SqliteConnection): DatabaseConnection {
  return {
    async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
      return await opened().execute(query as CompiledQuery<Row>);
    },
    // biome-ignore lint/correctness/useYield: the interface of Kysely asks for it, this store never streams.
    async *streamQuery() {
      throw new Error("this driver does not stream");
    },
  };
}
