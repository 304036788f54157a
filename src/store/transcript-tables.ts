import type { Kysely } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { StoreFailure } from "../ports/store/failure.ts";

/** The tables of shared transcripts; they stand beside those of the service or in a database of their own. */
export interface TranscriptTables {
  /** Who may append to the transcripts of a session. */
  readonly transcript_holder: {
    readonly session: string;
    readonly owner: string;
    readonly fence: number;
    readonly taken_at: number;
  };
  readonly transcript: {
    readonly session: string;
    readonly id: string;
    readonly lines: number;
    readonly bytes: number;
  };
  readonly transcript_line: {
    readonly session: string;
    readonly id: string;
    readonly at: number;
    readonly entry: string;
    readonly text: string;
  };
}

/** Every version of the tables, oldest first. Append only. Nothing in them is of one database only. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_transcripts": { up: createTables },
};

/** Brings the tables to the newest version. Throws StoreFailure `open`. */
export async function migrateTranscripts(db: Kysely<TranscriptTables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
    migrationTableName: "transcript_migration",
    migrationLockTableName: "transcript_migration_lock",
  });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  throw new StoreFailure(
    "open",
    `the tables of the transcripts cannot be brought to the newest version: ${error instanceof Error ? error.message : String(error)}`,
    { cause: error },
  );
}

async function createTables(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("transcript_holder")
    .addColumn("session", "text", (column) => column.primaryKey())
    .addColumn("owner", "text", (column) => column.notNull())
    .addColumn("fence", "bigint", (column) => column.notNull())
    .addColumn("taken_at", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createIndex("transcript_holder_taken")
    .on("transcript_holder")
    .column("taken_at")
    .execute();
  await db.schema
    .createTable("transcript")
    .addColumn("session", "text", (column) => column.notNull())
    .addColumn("id", "text", (column) => column.notNull())
    .addColumn("lines", "bigint", (column) => column.notNull())
    .addColumn("bytes", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("transcript_key", ["session", "id"])
    .execute();
  await db.schema
    .createTable("transcript_line")
    .addColumn("session", "text", (column) => column.notNull())
    .addColumn("id", "text", (column) => column.notNull())
    .addColumn("at", "bigint", (column) => column.notNull())
    .addColumn("entry", "text", (column) => column.notNull())
    .addColumn("text", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("transcript_line_key", ["session", "id", "at"])
    .addUniqueConstraint("transcript_line_entry", ["session", "id", "entry"])
    .execute();
}
