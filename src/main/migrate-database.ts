import { existsSync } from "node:fs";
import { join } from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import { copyTranscript } from "../agent/copy-transcript.ts";
import { transcriptFiles } from "../agent/has-transcript.ts";
import type { Config } from "../config/config.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { Store } from "../ports/store.ts";
import type { TranscriptHolder } from "../ports/transcripts.ts";
import { type CopiedTable, copyToPostgres } from "../store/copy-to-postgres.ts";
import { lockStateDir } from "../store/lock-state-dir.ts";
import { openPostgresTranscripts } from "../store/open-postgres-store.ts";
import { openStore } from "../store/open-store.ts";
import { placeOf } from "../store/postgres-refusal.ts";
import { ownerOf } from "./look-again.ts";
import { localDatabase, MOVED_TO } from "./open-database.ts";

/** What was copied. */
export interface Migrated {
  /** Where it is now, without a password. */
  readonly target: string;
  readonly tables: readonly CopiedTable[];
}

/**
 * Copies the SQLite database of a state directory, and the conversations of its sessions, into the
 * PostgreSQL database of the configuration; the service must be stopped, and its lock is held
 * meanwhile. Nothing of the source is removed, but it is marked as moved, so that nobody starts from
 * it by mistake. Throws StoreFailure `open` with what is wrong and what to do.
 */
export async function migrateDatabase(
  config: Pick<Config, "stateDir" | "database">,
  given: { readonly onTable: (copied: CopiedTable) => void },
): Promise<Migrated> {
  const { stateDir, database } = config;
  const path = localDatabase(stateDir);
  if (database === null) {
    throw refusal(
      "database is null: write the address of the PostgreSQL database to copy to into the configuration",
    );
  }
  if (!existsSync(path)) throw refusal(`there is no database ${path}: nothing to copy`);
  const lock = lockStateDir({
    stateDir,
    pid: process.pid,
    version: packageFile.version,
    startedAt: Date.now(),
  });
  if (!lock.ok) throw refusal(lock.problem);
  try {
    return await copyAll({ stateDir, path, address: database.reveal() }, given);
  } finally {
    lock.release();
  }
}

async function copyAll(
  of: { readonly stateDir: string; readonly path: string; readonly address: string },
  given: { readonly onTable: (copied: CopiedTable) => void },
): Promise<Migrated> {
  const { stateDir, path, address } = of;
  const { host, database } = placeOf(address);
  const target = `${database} at ${host}`;
  await refuseMoved(path);
  const local = await openStore({ path, now: Date.now });
  try {
    const beside = async () => [await copyTranscripts(local, { stateDir, address })];
    const tables = await copyToPostgres({ path, address, beside, onTable: given.onTable });
    await local.meta.set(MOVED_TO, target);
    return { target, tables };
  } finally {
    await local.close();
  }
}

/** The conversations that sessions go on with; on other hosts the files of this one are not there. */
async function copyTranscripts(
  local: Store,
  { stateDir, address }: { readonly stateDir: string; readonly address: string },
): Promise<CopiedTable> {
  const owner = await ownerOf(local);
  const transcripts = openPostgresTranscripts({ address, now: Date.now });
  try {
    let rows = 0;
    for (const session of await local.sessions.all()) {
      const [file] = await transcriptFiles(homeOf(stateDir, session), session.sessionId);
      if (file === undefined) continue;
      // Every claim from now on has a higher fence than none.
      const holder: TranscriptHolder = { owner, fence: 0 };
      const key = { session: session.key, id: session.sessionId };
      rows += await copyTranscript(transcripts, { key, holder, file });
    }
    return { table: "transcript_line", rows };
  } finally {
    await transcripts.close();
  }
}

async function refuseMoved(path: string): Promise<void> {
  const local = await openStore({ path, now: Date.now });
  try {
    const place = await local.meta.get(MOVED_TO);
    if (place !== null) throw refusal(`this database was copied to ${place} already`);
  } finally {
    await local.close();
  }
}

function homeOf(stateDir: string, { repo, number, agent }: SessionRow): string {
  return join(stateDir, "claude", repo, `${number}`, agent);
}

function refusal(message: string): StoreFailure {
  return new StoreFailure("open", message);
}
