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
import type { TransactCompiled } from "./transact.ts";

/**
 * Kysely over one connection of `bun:sqlite` to the file `path` (`:memory:` for none). Kysely itself
 * queues for the connection, because the adapter says there is only one: a transaction holds it from
 * begin until it is on the disk, so concurrent transactions run one after the other, and whatever a
 * write resolves with survives a power cut. The disk is waited for beside the event loop.
 */
export function bunSqliteDialect(path: string, options: SqliteOptions = {}): BunSqliteDialect {
  const driver = createDriver(path, options);
  return {
    transactCompiled: (db) => (body) =>
      db.connection().execute(async () => await driver.transact(body)),
    createDriver: () => driver,
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalDdlAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/** Kysely's dialect, and the way past its executor. */
export interface BunSqliteDialect extends Dialect {
  /** For a database that was made with this dialect. */
  readonly transactCompiled: <Tables>(db: Kysely<Tables>) => TransactCompiled;
}

/** SQLite rolls back CREATE TABLE like any other write; Kysely's own adapter does not use that. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function createDriver(
  path: string,
  options: SqliteOptions,
): Driver & { readonly transact: TransactCompiled } {
  let open: SqliteConnection | null = null;
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
        await commit();
        return result;
      } catch (error) {
        rollback();
        throw error;
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
      await opened().commit();
    },
    async rollbackTransaction() {
      opened().rollback();
    },
    async destroy() {
      // Whoever has the connection, or waits for it in Kysely's queue, goes first: nobody new gets in, and a
      // descriptor that is closed under a sync may be another file's by then.
      for (await nextTurn(); inUse !== null; await nextTurn()) await inUse.promise;
      opened().close();
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
