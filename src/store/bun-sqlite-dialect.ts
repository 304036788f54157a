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
import type { Execute, Ways } from "./transact.ts";
import { createTurns } from "./turns.ts";

/**
 * Kysely over one connection of `bun:sqlite` to the file `path` (`:memory:` for none). The driver
 * queues for the connection: transactions run one after the other. What a write resolves with survives
 * a power cut, except with `transactQueue`; the disk is waited for beside the event loop.
 */
export function bunSqliteDialect(path: string, options: SqliteOptions = {}): BunSqliteDialect {
  const driver = createDriver(path, options);
  return {
    ways: (db) => waysOf(driver, db),
    createDriver: () => driver,
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new OneConnectionAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/** Kysely's dialect, and the ways to a database that was made with it. */
export interface BunSqliteDialect extends Dialect {
  readonly ways: <Tables>(db: Kysely<Tables>) => Ways<Tables>;
}

/**
 * Every write gives the connection on once it is committed: only its caller waits for the disk. All but
 * `transact` go past Kysely's executor, which costs more than a small statement.
 */
function waysOf<Tables>(driver: SqliteDriver, db: Kysely<Tables>): Ways<Tables> {
  return {
    async transact(body) {
      const { result, wrote } = await db
        .connection()
        .execute(async (one) => await driver.withoutWaiting(() => one.transaction().execute(body)));
      if (wrote) await driver.flush();
      return result;
    },
    async transactCompiled(body, onCommit) {
      const { result, wrote } = await driver.transact("writing", body);
      // The disk works while those who are told do.
      const flushed = wrote ? driver.flush() : null;
      try {
        onCommit?.(result);
      } finally {
        await flushed;
      }
      return result;
    },
    async transactQueue(body) {
      return (await driver.transact("writing", body)).result;
    },
    async transactReading(body) {
      return (await driver.transact("reading", body)).result;
    },
    async read(query) {
      // Mostly nobody has the connection, and it needs no turn.
      return driver.performNow(query) ?? (await driver.perform(query)).result;
    },
    async writeQueue(query) {
      return (await driver.perform(query)).result;
    },
    async write(query) {
      const { result, wrote } = await driver.perform(query);
      if (wrote) await driver.flush();
      return result;
    },
  };
}

/** What a committed transaction resolved with, and whether it wrote something that is not on the disk yet. */
interface Committed<T> {
  readonly result: T;
  readonly wrote: boolean;
}

interface SqliteDriver extends Driver {
  /** Carries out a transaction when the connection is free. */
  transact<T>(
    kind: "reading" | "writing",
    body: (execute: Execute) => Promise<T>,
  ): Promise<Committed<T>>;
  /** Carries out a statement by itself when the connection is free. */
  perform<Row>(query: CompiledQuery<Row>): Promise<Committed<readonly Row[]>>;
  /** Carries out a reading statement at once; null when somebody has the connection, or another process a lock. */
  performNow<Row>(query: CompiledQuery<Row>): readonly Row[] | null;
  /** Carries out a transaction of Kysely's: its commit does not wait for the disk. Of the holder of the connection. */
  withoutWaiting<T>(transaction: () => Promise<T>): Promise<Committed<T>>;
  /** Resolves when everything that was committed before is on the disk. */
  flush(): Promise<void>;
}

class OneConnectionAdapter extends SqliteAdapter {
  /** SQLite rolls back CREATE TABLE like any other write. */
  override get supportsTransactionalDdl(): boolean {
    return true;
  }

  /**
   * True, although there is one: for `false` Kysely puts a queue of its own before the driver, and who
   * waits there would come after `destroy` and is not seen by `areFree`.
   */
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

function createDriver(path: string, options: SqliteOptions): SqliteDriver {
  let open: SqliteConnection | null = null;
  // Set while `withoutWaiting` runs: where its commit notes whether it wrote. Any other commit waits for the disk.
  let notWaiting: { wrote: boolean } | null = null;
  const turns = createTurns();
  const opened = () => {
    if (open === null) throw new Error("the SQLite driver is used before init or after destroy");
    return open;
  };
  const connection = connectionOver(opened);
  return {
    transact: (kind, body) =>
      turns.take(async () => {
        const { begin, perform, execute, commit, rollback } = opened();
        let isOver = false;
        const carryOut: Execute = async (query) => {
          if (isOver) throw new Error("a statement came after the end of its transaction");
          // Only a writing one has its lock from the beginning.
          return kind === "writing" ? perform(query).rows : (await execute(query)).rows;
        };
        await begin(kind);
        try {
          const result = await body(carryOut);
          return { result, wrote: commit() };
        } catch (error) {
          rollback();
          throw error;
        } finally {
          isOver = true;
        }
      }),
    perform: (query) => turns.take(async () => await opened().performAlone(query)),
    performNow: (query) => (turns.areFree() ? opened().performNow(query) : null),
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
      await turns.begin();
      return connection;
    },
    async releaseConnection() {
      turns.end();
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
      // Whoever has the connection, or waits for it, goes first: nobody new gets in.
      await turns.take(async () => {
        await opened().close();
        open = null;
      });
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
