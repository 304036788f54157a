import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { type Dialect, Kysely, sql } from "kysely";
import { StoreFailure } from "../ports/store/failure.ts";
import type { SessionLines } from "../ports/store/sessions.ts";
import type { Store } from "../ports/store.ts";
import { bunSqliteDialect } from "./bun-sqlite-dialect.ts";
import type { StoreContext, Warn } from "./context.ts";
import { createConversations } from "./conversations.ts";
import { createDeliveries } from "./deliveries.ts";
import { createEffectStore } from "./effects.ts";
import { createGateTable } from "./gates.ts";
import { createHolds } from "./holds.ts";
import { createItems } from "./items.ts";
import { createLeases } from "./leases.ts";
import { createLedger } from "./ledger.ts";
import { createMarks } from "./marks.ts";
import { createMeta } from "./meta.ts";
import { migrate } from "./migrations.ts";
import { createPrefixes } from "./prefixes.ts";
import { createPulls } from "./pulls.ts";
import { createQueueState } from "./queue-state.ts";
import { createReconcileClaims } from "./reconcile-claims.ts";
import { createRunClaims } from "./run-claims.ts";
import { createRunning } from "./running.ts";
import { createRuns } from "./runs.ts";
import { createSessionLines } from "./session-lines.ts";
import { createSessions } from "./sessions.ts";
import { createSweepClaim } from "./sweep-claim.ts";
import type { Tables } from "./tables.ts";
import type { Ways } from "./transact.ts";
import type { SyncFile } from "./write-ahead-log.ts";

/**
 * Opens the SQLite database at `path` (`:memory:` for a passing one), made with mode 0600 when it is
 * missing, and brings its tables to the newest version. `now` gives epoch milliseconds; `warn` hears
 * of stored values that do not parse and of listeners that throw; `onUnsynced` hears once that the
 * disk did not confirm a commit, and `sync` stands in for the disk. Throws StoreFailure `open` or
 * `newer`. One process at a time may have it open: the caller holds the lock of the state directory.
 */
export async function openStore(options: {
  readonly path: string;
  readonly now: () => number;
  readonly warn?: Warn;
  readonly onUnsynced?: () => void;
  readonly sync?: SyncFile;
}): Promise<Store> {
  const { path, now, warn = () => undefined, onUnsynced, sync } = options;
  let full = (): void => undefined;
  const dialect = bunSqliteDialect(path, {
    onFull: () => full(),
    ...(onUnsynced !== undefined && { onUnsynced }),
    ...(sync !== undefined && { sync }),
  });
  const db = await openDatabase(path, dialect);
  const store = assembleStore({
    db,
    ways: dialect.ways(db),
    now,
    warn,
    createLines: createSessionLines,
    announce: () => undefined,
    async checkpoint() {
      // Passive: it waits for nobody, and what a reader still needs stays for the next time.
      await sql`pragma wal_checkpoint(passive)`.execute(db);
    },
    close: async () => await db.destroy(),
  });
  full = store.full;
  return store;
}

/** What the two engines do each in its own way. */
interface Opened {
  readonly db: Kysely<Tables>;
  readonly ways: Ways<Tables>;
  readonly now: () => number;
  readonly warn: Warn;
  readonly createLines: (context: StoreContext) => SessionLines;
  /** Tells other processes that work may have become due. */
  readonly announce: () => void;
  readonly checkpoint: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** The store over a database whose tables are ready; `woken` calls its listeners for another process, `full` those of `onFull`. */
export function assembleStore(opened: Opened): Store & { woken(): void; full(): void } {
  const { db, now, warn } = opened;
  const listeners: (() => void)[] = [];
  const ofFull: (() => void)[] = [];
  const woken = () => {
    for (const listener of listeners) callListener(listener, warn);
  };
  const wake = () => {
    woken();
    opened.announce();
  };
  const context: StoreContext = { ...opened.ways, db, now, warn, wake };
  const deliveries = createDeliveries(context);
  const sessions = createSessions(context);
  return {
    deliveries,
    work: {
      ...createMarks(context),
      ...createReconcileClaims(context),
      ...createRunClaims(context),
      ...createLeases(context),
      ...createItems(context),
      ...createQueueState(context),
      ...createHolds(context),
      ...createRunning(context),
      ...createSweepClaim(context),
    },
    pulls: createPulls(context),
    sessions: { ...sessions, lines: opened.createLines(context) },
    conversations: createConversations(context),
    runs: createRuns(context),
    effects: createEffectStore(context),
    ledger: createLedger(context),
    meta: createMeta(context),
    gates: createGateTable(context),
    prefixes: createPrefixes(context),
    quietMs: () => deliveries.quietMs(),
    checkpoint: opened.checkpoint,
    now,
    woken,
    onWake(listener) {
      listeners.push(listener);
    },
    full() {
      for (const listener of ofFull) callListener(listener, warn);
    },
    onFull(listener) {
      ofFull.push(listener);
    },
    async close() {
      listeners.length = 0;
      ofFull.length = 0;
      await deliveries.settled();
      await sessions.settled();
      await opened.close();
    },
  };
}

async function openDatabase(path: string, dialect: Dialect): Promise<Kysely<Tables>> {
  const db = new Kysely<Tables>({ dialect });
  try {
    if (path !== ":memory:") await createPrivateFile(path);
    await migrate(db);
    return db;
  } catch (error) {
    await db.destroy();
    if (error instanceof StoreFailure) throw error;
    throw openFailure(path, error);
  }
}

function openFailure(path: string, error: unknown): StoreFailure {
  const problem = error instanceof Error ? error.message : String(error);
  return new StoreFailure(
    "open",
    `the database ${path} cannot be opened: ${problem}; check that it is a SQLite database that the service's user may write, or move it away to begin with an empty one`,
    { cause: error },
  );
}

/** Makes the file of a database with mode 0600; SQLite gives its -wal and -shm files the mode of it, so this covers all three. */
export async function createPrivateFile(path: string): Promise<void> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600);
  try {
    await file.chmod(0o600);
  } finally {
    await file.close();
  }
}

/** The write that woke it is committed: a listener that throws must not turn it into a failure. */
function callListener(listener: () => void, warn: Warn): void {
  try {
    listener();
  } catch (error) {
    warn("a listener of the store failed", {
      error: error instanceof Error ? error.message : String(error),
    });
  }
}
