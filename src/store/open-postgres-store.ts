import { Kysely, PostgresDialect, type PostgresPool, sql } from "kysely";
import type { Store } from "../ports/store.ts";
import type { TranscriptStore } from "../ports/transcripts.ts";
import type { Warn } from "./context.ts";
import { openDatabaseClock } from "./database-clock.ts";
import { assembleStore } from "./open-store.ts";
import { postgresDialect } from "./postgres-dialect.ts";
import { connectionConfig, heardAtNextUse, openPostgresPool } from "./postgres-pool.ts";
import { openRefusal } from "./postgres-refusal.ts";
import { openPostgresWake } from "./postgres-wake.ts";
import { preparePostgres } from "./prepare-postgres.ts";
import { createSharedSessionLines } from "./shared-session-lines.ts";
import type { Tables } from "./tables.ts";
import { transactOnce, transactPatiently, waysOver } from "./transact.ts";
import type { TranscriptTables } from "./transcript-tables.ts";
import { createTranscripts } from "./transcripts.ts";

/** A statement outside a transaction may take so long; inside one the server itself is quicker to end it. */
const STATEMENT_MS_MAX = 15_000;

/**
 * Opens the PostgreSQL database at `address` (`postgres://user@host/name`, with its password if it
 * has one) and brings its tables to the newest version. Several processes may have it open. `now` is
 * the database's clock when it is left out; `self` is a name of this process that no other has.
 * Throws StoreFailure `open` (with the reason in words, never the password) or `newer`.
 */
export async function openPostgresStore(options: {
  readonly address: string;
  readonly self: string;
  readonly now?: () => number;
  readonly warn?: Warn;
  /** A random number from 0 up to 1, for the pauses between tries. */
  readonly chance?: () => number;
}): Promise<{ readonly store: Store; readonly transcripts: TranscriptStore }> {
  const { address, self, warn = () => undefined, chance = () => 0.5 } = options;
  const onLost = (error: unknown) => warn("the database is away", { error: wordsOf(error) });
  await preparePostgres(address);
  const pool = openPostgresPool({
    ...{ address, statementMs: STATEMENT_MS_MAX, onLost, chance },
    onFull: () => store.full(),
  });
  const db = new Kysely<Tables>({ dialect: postgresDialect(pool) });
  const clock = await openDatabaseClock({ ask: () => readTime(db), onFailed: onLost }).catch(
    async (error: unknown) => {
      await db.destroy();
      throw openRefusal(address, error);
    },
  );
  const wake = openPostgresWake({
    config: connectionConfig(address),
    self,
    notify: (channel, payload) => sql`select pg_notify(${channel}, ${payload})`.execute(db),
    onWake: () => store.woken(),
    onLost,
  });
  const store = assembleStore({
    db,
    ways: waysOver(db, transactPatiently(db, chance)),
    now: options.now ?? clock.now,
    warn,
    createLines: createSharedSessionLines,
    announce: () => wake.send(),
    checkpoint: async () => undefined,
    async close() {
      clock.stop();
      await wake.stop();
      await db.destroy();
    },
  });
  const beside = unhurried(pool);
  const transcripts = createTranscripts({
    ...{ db: beside, now: store.now },
    transact: transactPatiently(beside, chance),
  });
  return { store, transcripts: { ...transcripts, close: async () => undefined } };
}

/** Only the transcripts of a database whose tables are ready. */
export function openPostgresTranscripts(options: {
  readonly address: string;
  readonly now: () => number;
}): TranscriptStore {
  const { address, now } = options;
  const limit = { statementMs: STATEMENT_MS_MAX, onLost: heardAtNextUse };
  const pool = openPostgresPool({ address, ...limit });
  const db = unhurried(pool);
  const transact = transactOnce(db);
  return { ...createTranscripts({ db, transact, now }), close: () => pool.end() };
}

/** Over the same connections. The transactions of transcripts need no turn, they wait at a row of their session: a long line must not hold up a claim. */
function unhurried(pool: PostgresPool): Kysely<TranscriptTables> {
  const borrowed = { ...pool, end: async () => undefined };
  return new Kysely<TranscriptTables>({ dialect: new PostgresDialect({ pool: borrowed }) });
}

/** Epoch ms of the database's host. */
async function readTime(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{
    time: number;
  }>`select extract(epoch from clock_timestamp()) * 1000 as time`.execute(db);
  return rows[0]?.time ?? Number.NaN;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
