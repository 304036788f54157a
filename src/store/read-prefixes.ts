import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { StoreFailure } from "../ports/store/failure.ts";
import type { Prefix } from "../ports/store/prefixes.ts";

const QUERY = `select prefix.key, prefix.session, prefix.agent, prefix.model, prefix.tools from prefix
  join session on session.key = prefix.key and session.session_id = prefix.session
  order by prefix.key`;

/**
 * What requests of the sessions in the SQLite database at `path` begin with; null when there is no
 * database, or one of an older version that did not keep this. Nothing is written, and nothing made:
 * a running service has the files open that a reader needs, and without one the database is read as a
 * file that nobody changes. Throws StoreFailure `open` when it cannot be read.
 */
export function readPrefixes(path: string): readonly Prefix[] | null {
  if (!existsSync(path)) return null;
  const uri = `file:${encodeURI(path).replace(/[?#]/gu, encodeURIComponent)}?mode=ro`;
  try {
    using db = new Database(
      existsSync(`${path}-wal`) ? uri : `${uri}&immutable=1`,
      OPEN_URI_READ_ONLY,
    );
    const table = db.query("select 1 from sqlite_master where name = 'prefix'").get();
    return table === null ? null : db.query<Prefix, []>(QUERY).all();
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): StoreFailure {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new StoreFailure("open", `the database ${path} cannot be read: ${problem}`, { cause });
}

/** SQLITE_OPEN_READONLY | SQLITE_OPEN_URI. */
const OPEN_URI_READ_ONLY = 0x1 | 0x40;
