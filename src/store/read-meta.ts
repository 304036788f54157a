import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { StoreFailure } from "../ports/store/failure.ts";

/**
 * Reads one small value of the database at `path` without opening the store: read-only, beside a
 * service that runs, and also while another process holds its write lock. Null when there is no
 * database or no such value. Throws StoreFailure `open` when it cannot be read.
 */
export function readMeta(path: string, key: string): string | null {
  if (!existsSync(path)) return null;
  try {
    using database = new Database(path, { readonly: true });
    const table = database.query("select 1 from sqlite_master where name = 'meta'").get();
    if (table === null) return null;
    const row = database
      .query<{ value: string }, [string]>("select value from meta where key = ?")
      .get(key);
    return row?.value ?? null;
  } catch (error) {
    throw readFailure(path, error);
  }
}

function readFailure(path: string, error: unknown): StoreFailure {
  const problem = error instanceof Error ? error.message : String(error);
  return new StoreFailure("open", `the database ${path} cannot be read: ${problem}`, {
    cause: error,
  });
}
