import { Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import type { CompiledQuery, QueryResult } from "kysely";
import { isOfFullDisk } from "../ports/store/failure.ts";
import { openWriteAheadLog, type SyncFile, type WriteAheadLog } from "./write-ahead-log.ts";

/** How long a statement waits for a lock of another process (a backup, a second instance). */
const BUSY_TIMEOUT_MS = 5000;

/** How long SQLite itself waits, which holds the whole process: the rest is waited for in between. */
const BLOCKING_MS = 25;
const AGAIN_MS = 25;

/**
 * Of a new database, in bytes. Every commit writes whole pages, and a delivery touches a few bytes of
 * some: with 2048 instead of the usual 4096 recording one costs a tenth less (measured). Rows of tens of
 * kilobytes are rare here, and would want larger ones.
 */
const PAGE_BYTES = 2048;

/**
 * When a commit leaves this many pages in the log (8 MB), SQLite writes them into the database, on the
 * event loop. In quiet moments Store.checkpoint does it first. A start reads what is left once.
 */
const LOG_PAGES_MAX = 4096;

/** Prepared statements kept; the statements of this store are fewer, multi-row inserts come on top. */
const STATEMENTS_MAX = 200;

/** What the owner of a database hears of its disk. */
export interface SqliteOptions {
  /** Hears of every write for which the disk had no room. */
  readonly onFull?: () => void;
  /** Hears once that something committed may not be on the disk; every write that waits for the disk fails from then on. */
  readonly onUnsynced?: () => void;
  /** How the log is brought to the disk; `fdatasync` when absent. */
  readonly sync?: SyncFile;
}

/** One connection to a SQLite database; everything throws what SQLite says. */
export interface SqliteConnection {
  /** Begins a transaction; one that only reads sees one state and holds nobody up. */
  begin(kind: "reading" | "writing"): Promise<void>;
  /** Commits, so that others may go on; whether something was written, which then is not on the disk yet. */
  commit(): boolean;
  rollback(): void;
  /** Resolves when the disk has everything that was committed before. */
  flush(): Promise<void>;
  /** Carries out a statement at once: only inside a writing transaction, where nobody else holds the lock. */
  perform<Row>(query: CompiledQuery<Row>): QueryResult<Row>;
  /** Carries out a statement by itself; `wrote`: it has written something that is not on the disk yet. */
  performAlone<Row>(
    query: CompiledQuery<Row>,
  ): Promise<{ readonly result: readonly Row[]; readonly wrote: boolean }>;
  /** Carries out a reading statement at once, by itself; null when another process holds a lock. */
  performNow<Row>(query: CompiledQuery<Row>): readonly Row[] | null;
  /** Carries out a statement; outside a transaction it resolves when the disk has what it wrote. */
  execute<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>;
  /** Closes it when the disk has everything. */
  close(): Promise<void>;
}

/** Opens the file `path`, `:memory:` for a passing database. */
export function openSqliteConnection(path: string, options: SqliteOptions): SqliteConnection {
  const { onFull = () => undefined } = options;
  const { database, writeAheadLog } = openDatabase(path, options);
  const { prepare, finalize } = createStatements(database);
  // Whether something was committed since the last flush began.
  let isUnsynced = false;
  const flush = async (): Promise<void> => {
    isUnsynced = false;
    await writeAheadLog?.flush();
  };
  // Whether the transaction, or the statement by itself, has written: one that only read has nothing to wait for.
  let hasWritten = false;
  const perform = <Row>(query: CompiledQuery<Row>): QueryResult<Row> => {
    const statement = prepare(query.sql);
    const result = tellingFull(() => carryOut<Row>(statement, query.parameters), onFull);
    if (isWriting(query)) hasWritten = true;
    return result;
  };
  return {
    async begin(kind) {
      // A deferred transaction that writes later fails at once when somebody else wrote in between.
      const words = kind === "reading" ? "begin" : "begin immediate";
      await whenFree(() => database.run(words));
    },
    commit() {
      tellingFull(() => database.run("commit"), onFull);
      const wrote = hasWritten;
      hasWritten = false;
      isUnsynced ||= wrote;
      return wrote;
    },
    rollback() {
      hasWritten = false;
      // After a full disk or an I/O error SQLite has rolled back by itself.
      if (database.inTransaction) database.run("rollback");
    },
    flush,
    perform,
    async performAlone(query) {
      const { rows: result } = await whenFree(() => perform(query));
      const wrote = hasWritten;
      hasWritten = false;
      isUnsynced ||= wrote;
      return { result, wrote };
    },
    performNow(query) {
      try {
        return perform(query).rows;
      } catch (error) {
        if (isBusy(error)) return null;
        throw error;
      }
    },
    async execute(query) {
      const result = await whenFree(() => perform(query));
      // Outside a transaction a statement is one by itself.
      if (hasWritten && !database.inTransaction) {
        hasWritten = false;
        await flush();
      }
      return result;
    },
    async close() {
      try {
        if (isUnsynced) await flush();
      } finally {
        await writeAheadLog?.close();
        finalize();
        database.close();
      }
    },
  };
}

/** Without a log of its own (in memory, or on a file system that cannot have one) SQLite syncs by itself. */
function openDatabase(
  path: string,
  options: SqliteOptions,
): { readonly database: Database; readonly writeAheadLog: WriteAheadLog | null } {
  const database = new Database(path, { create: true, readwrite: true });
  try {
    // First of all: changing the journal mode needs a lock and fails at once without a timeout.
    database.run(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
    // Before the journal mode: in WAL a page cannot change its size.
    database.run(`pragma page_size = ${PAGE_BYTES}`);
    const mode = database.query("pragma journal_mode = wal").values()[0]?.[0];
    database.run(`pragma synchronous = ${mode === "wal" ? "normal" : "full"}`);
    database.run(`pragma wal_autocheckpoint = ${LOG_PAGES_MAX}`);
    database.run("pragma foreign_keys = on");
    if (mode === "wal") secureLog(database);
    database.run(`pragma busy_timeout = ${BLOCKING_MS}`);
    return { database, writeAheadLog: mode === "wal" ? openWriteAheadLog(path, options) : null };
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Brings what an earlier process left in the log into the database, and that to the disk. The process
 * may have ended because a sync failed: then the kernel shows what was written and takes it for saved,
 * and only writing it anew makes that true. Without room for it the log stays as it is.
 */
function secureLog(database: Database): void {
  try {
    database.query("pragma wal_checkpoint(passive)").values();
  } catch (error) {
    if (!isOfFullDisk(error)) throw error;
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
      if (!isBusy(error) || performance.now() > end) throw error;
    }
    await wait(AGAIN_MS);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && error.code === "SQLITE_BUSY";
}

/** A prepared statement and whether it returns rows, which is asked once: each time would cost as much as a small statement. */
interface Kept {
  readonly statement: Statement;
  readonly hasRows: boolean;
}

/** A bounded cache of prepared statements; the least recently used one goes first. */
function createStatements(database: Database): {
  prepare: (text: string) => Kept;
  finalize: () => void;
} {
  const kept = new Map<string, Kept>();
  const prepareAnew = (text: string): Kept => {
    const statement = database.prepare(text);
    return { statement, hasRows: statement.columnNames.length > 0 };
  };
  return {
    prepare(text) {
      const statement = kept.get(text) ?? prepareAnew(text);
      kept.delete(text);
      kept.set(text, statement);
      const [oldest] = kept;
      if (kept.size > STATEMENTS_MAX && oldest !== undefined) {
        kept.delete(oldest[0]);
        oldest[1].statement.finalize();
      }
      return statement;
    },
    finalize() {
      for (const { statement } of kept.values()) statement.finalize();
      kept.clear();
    },
  };
}

function carryOut<Row>(
  { statement, hasRows }: Kept,
  parameters: readonly unknown[],
): QueryResult<Row> {
  const values = parameters as SQLQueryBindings[];
  if (hasRows) return { rows: statement.all(...values) as Row[] };
  const { changes, lastInsertRowid } = statement.run(...values);
  return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
}

function isWriting({ query }: CompiledQuery): boolean {
  return query.kind !== "SelectQueryNode";
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
