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
 * the other. Whatever a write resolves with survives a power cut; the disk is waited for beside the
 * event loop.
 */
export function bunSqliteDialect(path: string, options: SqliteOptions = {}): BunSqliteDialect {
  const driver = createDriver(path, options);
  return {
    transact: (db) => async (body) => {
      const { result, onDisk } = await db.connection().execute(async (one) => {
        return await driver.committed(() => one.transaction().execute(body));
      });
      await onDisk;
      return result;
    },
    transactCompiled: (db) => async (body) => {
      const { result, onDisk } = await db
        .connection()
        .execute(async () => await driver.transact(body));
      await onDisk;
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
 * connection on as soon as they have committed: whoever comes next need not wait for the disk, only
 * the caller does.
 */
export interface BunSqliteDialect extends Dialect {
  readonly transact: <Tables>(db: Kysely<Tables>) => Transact<Tables>;
  /** The same past Kysely's executor. */
  readonly transactCompiled: <Tables>(db: Kysely<Tables>) => TransactCompiled;
}

/** What a committed transaction resolved with; `onDisk` resolves when the disk has it. */
interface Committed<T> {
  readonly result: T;
  readonly onDisk: Promise<void>;
}

interface SqliteDriver extends Driver {
  /** Carries out a transaction of the holder of the connection. */
  transact<T>(body: (execute: Execute) => Promise<T>): Promise<Committed<T>>;
  /** The same for one that Kysely carries out. */
  committed<T>(transaction: () => Promise<T>): Promise<Committed<T>>;
}

/** SQLite rolls back CREATE TABLE like any other write; Kysely's own adapter does not use that. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function createDriver(path: string, options: SqliteOptions): SqliteDriver {
  let open: SqliteConnection | null = null;
  // Where the commit of `committed` leaves what it resolves with; otherwise a commit is waited for itself.
  let committing: { onDisk: Promise<void> } | null = null;
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
        return { result, onDisk: commit() };
      } catch (error) {
        rollback();
        throw error;
      }
    },
    async committed(transaction) {
      const place = { onDisk: Promise.resolve() };
      committing = place;
      try {
        return { result: await transaction(), onDisk: place.onDisk };
      } finally {
        committing = null;
      }
    },
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
      const onDisk = opened().commit();
      if (committing === null) await onDisk;
      else committing.onDisk = onDisk;
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
