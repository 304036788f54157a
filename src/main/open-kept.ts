import packageFile from "../../package.json" with { type: "json" };
import { createAudit } from "../observe/audit.ts";
import type { Audit } from "../ports/observe.ts";
import type { Store } from "../ports/store.ts";
import { openSessionStore, type SessionStore } from "../sessions/store.ts";
import { auditFile, auditNote } from "./audit-note.ts";
import { auditedStore } from "./audited-store.ts";
import { endUnsynced } from "./lifecycle.ts";
import { type OpenDatabase, openDatabase } from "./open-database.ts";
import type { ServiceStart } from "./service-start.ts";

/** Behind PgBouncer nobody hears that others have changed a session. */
const FOLLOW_EVERY_MS = 5000;

/** What outlives the process. */
export interface Kept extends Omit<OpenDatabase, "close"> {
  /** Writes a line in the audit for what it has made durable. */
  readonly store: Store;
  readonly audit: Audit;
  /** Epoch ms by the clock of whatever keeps the leases: retry times and what is shown count by it, too. */
  readonly now: () => number;
}

/** Opens the database and the audit; `open` closes them. Throws StoreFailure with a message for people. */
export async function openKept(
  { config, log, redactor, replaced }: ServiceStart,
  open: AsyncDisposableStack,
): Promise<Kept> {
  const { close, ...database } = await openDatabase(config, {
    now: Date.now,
    warn: (message, fields) => log.warn("store", { reason: message, ...fields }),
    onUnsynced: () => endUnsynced(log),
  });
  open.defer(close);
  const { now } = database.store;
  const audit = createAudit({
    file: auditFile(config.stateDir),
    note: auditNote(database.own),
    ...{ now, redactor, log },
  });
  open.defer(async () => await audit.close());
  await audit.start();
  audit.append("service_started", { version: packageFile.version, pid: process.pid });
  open.defer(() => audit.append("service_stopped", { pid: process.pid }));
  const unaudited = replaced.store?.(database.store) ?? database.store;
  return { ...database, store: auditedStore(unaudited, audit), audit, now };
}

/** Opens the sessions with their readable copy, which follows the table until `open` closes it. */
export async function openSessions(
  { config, log, store, shared, now }: ServiceStart & Kept,
  open: AsyncDisposableStack,
): Promise<SessionStore> {
  const sessions = await openSessionStore({
    table: store.sessions,
    stateDir: config.stateDir,
    isShared: shared !== null,
    ...{ now, log },
  });
  open.defer(async () => await sessions.mirror.close());
  // What other processes change has to reach this one's file, too.
  if (shared !== null) {
    store.onWake(() => sessions.mirror.changed());
    const following = setInterval(() => sessions.mirror.changed(), FOLLOW_EVERY_MS);
    open.defer(() => clearInterval(following));
  }
  return sessions;
}
