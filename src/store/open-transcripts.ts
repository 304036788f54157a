import { Kysely } from "kysely";
import type { TranscriptStore } from "../ports/transcripts.ts";
import { bunSqliteDialect } from "./bun-sqlite-dialect.ts";
import { createPrivateFile } from "./open-store.ts";
import { migrateTranscripts, type TranscriptTables } from "./transcript-tables.ts";
import { createTranscripts } from "./transcripts.ts";

/**
 * Opens a SQLite database of transcripts at `path` (`:memory:` for a passing one), made with mode
 * 0600 when it is missing. Several processes of one host may have it open. Throws StoreFailure `open`.
 */
export async function openTranscripts(options: {
  readonly path: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}): Promise<TranscriptStore> {
  const { path, now } = options;
  const dialect = bunSqliteDialect(path);
  const db = new Kysely<TranscriptTables>({ dialect });
  try {
    if (path !== ":memory:") await createPrivateFile(path);
    await migrateTranscripts(db);
  } catch (error) {
    await db.destroy();
    throw error;
  }
  return {
    ...createTranscripts({ db, transact: dialect.ways(db).transact, now }),
    async close() {
      await db.destroy();
    },
  };
}
