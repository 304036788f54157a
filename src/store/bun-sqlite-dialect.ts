import { Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from "kysely";
import { isOfFullDisk } from "../ports/store/failure.ts";
import { openWriteAheadLog, type SyncFile, type WriteAheadLog } from "./write-ahead-log.ts";

/** How long a statement waits for a lock of another process (a backup, a second instance). */
const BUSY_TIMEOUT_MS = 5000;

/** How long SQLite itself waits, which holds the whole process: the rest is waited for in between. */
const BLOCKING_MS = 25;
const AGAIN_MS = 25;

/** Prepared statements kept; the statements of this store are fewer, multi-row inserts come on top. */
const STATEMENTS_MAX = 200;

/** What the owner of a database hears of its disk. */
export interface SqliteOptions {
  /** Hears of every write for which the disk had no room. */
  readonly onFull?: () => void;
  /** Hears once that something committed may not be on the disk; every write fails from then on. */
  readonly onUnsynced?: () => void;
  /** How the log is brought to the disk; `fdatasync` when absent. */
  readonly sync?: SyncFile;
}

/**
 * Kysely over one connection of `bun:sqlite` to the file `path` (`:memory:` for none). Kysely itself
 * queues for the connection, because the adapter says there is only one: a transaction holds it from
 * begin until it is on the disk, so concurrent transactions run one after the other, and whatever a
 * write resolves with survives a power cut. The disk is waited for beside the event loop.
 */
export function bunSqliteDialect(path: string, options: SqliteOptions = {}): Dialect {
  return {
    createDriver: () => createDriver(path, options),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new TransactionalDdlAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

/** SQLite rolls back CREATE TABLE like any other write; Kysely's own adapter does not use that. */
class TransactionalDdlAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

function createDriver(path: string, options: SqliteOptions): Driver {
  const { onFull = () => undefined } = options;
  let open: Open | null = null;
  const opened = () => {
    if (open === null) throw new Error("the SQLite driver is used before init or after destroy");
    return open;
  };
  return {
    async init() {
      const { database, log } = openDatabase(path, options);
      const { prepare, finalize } = createStatements(database);
      const written = { yet: false };
      const confirm = async () => {
        if (!written.yet) return;
        await log?.flush();
        written.yet = false;
      };
      const connection = createConnection({ database, prepare, onFull, written, confirm });
      open = { database, log, written, confirm, connection, finalize };
    },
    async acquireConnection() {
      return opened().connection;
    },
    async releaseConnection() {
      // Kysely hands the one connection to the next in its queue.
    },
    async beginTransaction(_connection: DatabaseConnection, settings: TransactionSettings) {
      // A deferred transaction that writes later fails at once when somebody else wrote in between.
      const begin = settings.accessMode === "read only" ? "begin" : "begin immediate";
      await whenFree(() => opened().database.run(begin));
    },
    async commitTransaction() {
      tellingFull(() => opened().database.run("commit"), onFull);
      await opened().confirm();
    },
    async rollbackTransaction() {
      // After a full disk or an I/O error SQLite has rolled back by itself.
      if (opened().database.inTransaction) opened().database.run("rollback");
    },
    async destroy() {
      const { database, log, finalize } = opened();
      finalize();
      database.close();
      log?.close();
      open = null;
    },
  };
}

/** What the driver holds between init and destroy. */
interface Open {
  readonly database: Database;
  readonly log: WriteAheadLog | null;
  /** Whether something was written since the disk last confirmed; a look for work mostly writes nothing. */
  readonly written: { yet: boolean };
  /** Resolves when the disk has what was committed. */
  readonly confirm: () => Promise<void>;
  readonly connection: DatabaseConnection;
  readonly finalize: () => void;
}

/** Without a log of its own (in memory, or on a file system that cannot have one) SQLite syncs by itself. */
function openDatabase(path: string, options: SqliteOptions): Pick<Open, "database" | "log"> {
  const database = new Database(path, { create: true, readwrite: true });
  try {
    // First of all: changing the journal mode needs a lock and fails at once without a timeout.
    database.run(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
    const mode = database.query("pragma journal_mode = wal").values()[0]?.[0];
    database.run(`pragma synchronous = ${mode === "wal" ? "normal" : "full"}`);
    database.run("pragma foreign_keys = on");
    database.run(`pragma busy_timeout = ${BLOCKING_MS}`);
    return { database, log: mode === "wal" ? openWriteAheadLog(path, options) : null };
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Does it as soon as no other process holds the lock, at the latest after BUSY_TIMEOUT_MS, and lets
 * everything else in this process go on meanwhile. A refused begin or statement has done nothing.
 */
async function whenFree<T>(work: () => T): Promise<T> {
  const end = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      return work();
    } catch (error) {
      const isBusy = error instanceof SQLiteError && error.code === "SQLITE_BUSY";
      if (!isBusy || performance.now() > end) throw error;
    }
    await wait(AGAIN_MS);
  }
}

/** A bounded cache of prepared statements; the least recently used one goes first. */
function createStatements(database: Database): {
  prepare: (text: string) => Statement;
  finalize: () => void;
} {
  const kept = new Map<string, Statement>();
  return {
    prepare(text) {
      const statement = kept.get(text) ?? database.prepare(text);
      kept.delete(text);
      kept.set(text, statement);
      const [oldest] = kept;
      if (kept.size > STATEMENTS_MAX && oldest !== undefined) {
        kept.delete(oldest[0]);
        oldest[1].finalize();
      }
      return statement;
    },
    finalize() {
      for (const statement of kept.values()) statement.finalize();
      kept.clear();
    },
  };
}

/** Does a write and tells `onFull` if it fails for want of room; not only a commit does, also a large write before it. */
function tellingFull<T>(write: () => T, onFull: () => void): T {
  try {
    return write();
  } catch (error) {
    if (isOfFullDisk(error)) onFull();
    throw error;
  }
}

function createConnection({
  database,
  prepare,
  onFull,
  written,
  confirm,
}: Pick<Open, "database" | "written" | "confirm"> & {
  readonly prepare: (text: string) => Statement;
  readonly onFull: () => void;
}): DatabaseConnection {
  const doing = async <T>(work: () => T): Promise<T> =>
    await whenFree(() => tellingFull(work, onFull));
  return {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const statement = prepare(query.sql);
      const values = query.parameters as SQLQueryBindings[];
      let result: QueryResult<R>;
      if (statement.columnNames.length > 0) {
        result = { rows: await doing(() => statement.all(...values) as R[]) };
      } else {
        const { changes, lastInsertRowid } = await doing(() => statement.run(...values));
        result = {
          rows: [],
          numAffectedRows: BigInt(changes),
          insertId: BigInt(lastInsertRowid),
        };
      }
      if (query.query.kind === "SelectQueryNode") return result;
      written.yet = true;
      // Outside a transaction a statement is one by itself.
      if (!database.inTransaction) await confirm();
      return result;
    },
    // biome-ignore lint/correctness/useYield: the interface of Kysely asks for it, this store never streams.
    async *streamQuery() {
      throw new Error("this driver does not stream");
    },
  };
}
