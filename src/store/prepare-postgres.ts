import { Kysely, sql } from "kysely";
import { migrate } from "./migrations.ts";
import { postgresDialect } from "./postgres-dialect.ts";
import { heardAtNextUse, openPostgresPool } from "./postgres-pool.ts";
import { openRefusal, rightsRefusal, versionRefusal } from "./postgres-refusal.ts";
import type { Tables } from "./tables.ts";
import { migrateTranscripts, type TranscriptTables } from "./transcript-tables.ts";

/** Making the tables of a new version may take longer than any other transaction. */
const MIGRATION_MS_MAX = 600_000;
const LOOK_MS_MAX = 10_000;

/**
 * Brings the tables of the database at `address` to the newest version, over connections of their
 * own, as that may take its time. Throws StoreFailure `open` in words for people, or `newer`.
 */
export async function preparePostgres(address: string): Promise<void> {
  let db: Kysely<Tables> | null = null;
  let isPoor = false;
  try {
    const limit = { statementMs: MIGRATION_MS_MAX, onLost: heardAtNextUse };
    const pool = openPostgresPool({ address, ...limit });
    db = new Kysely<Tables>({ dialect: postgresDialect(pool, MIGRATION_MS_MAX) });
    const { version, mayCreate } = await readServer(db);
    const refusal = versionRefusal(address, version);
    if (refusal !== null) throw refusal;
    isPoor = !mayCreate;
    await db.transaction().execute(migrate);
    const borrowed = { ...pool, end: async () => undefined };
    const beside = new Kysely<TranscriptTables>({
      dialect: postgresDialect(borrowed, MIGRATION_MS_MAX),
    });
    await beside.transaction().execute(migrateTranscripts);
  } catch (error) {
    throw isPoor ? rightsRefusal(address, error) : openRefusal(address, error);
  } finally {
    await db?.destroy();
  }
}

/**
 * Looks at the database at `address` and changes nothing; resolves with the version of its server, e.g.
 * 15. Throws StoreFailure `open` in words for people: no server, no access, too old a version.
 */
export async function lookAtPostgres(address: string): Promise<number> {
  const pool = openPostgresPool({ address, statementMs: LOOK_MS_MAX, onLost: () => undefined });
  const db = new Kysely<Tables>({ dialect: postgresDialect(pool, LOOK_MS_MAX) });
  try {
    const { version } = await readServer(db);
    const refusal = versionRefusal(address, version);
    if (refusal !== null) throw refusal;
    return Math.floor(version / 10_000);
  } catch (error) {
    throw openRefusal(address, error);
  } finally {
    await db.destroy();
  }
}

async function readServer(
  db: Kysely<Tables>,
): Promise<{ readonly version: number; readonly mayCreate: boolean }> {
  const { rows } = await sql<{ version: string; may_create: boolean | null }>`
    select current_setting('server_version_num') as version,
      has_schema_privilege(current_schema(), 'create') as may_create`.execute(db);
  return { version: Number(rows[0]?.version ?? 0), mayCreate: rows[0]?.may_create === true };
}
