import type { Log } from "../ports/observe.ts";
import type { SessionRow, SessionTable } from "../ports/store/sessions.ts";
import { importSessions } from "./import-sessions.ts";
import { checkSessionId, repositoryName, SessionKeyFailure, sessionKey } from "./key.ts";
import { openMirror, type SessionMirror } from "./mirror.ts";
import type { MirrorFound } from "./mirror-file.ts";

/** The sessions: the table is the truth, the mirror its readable copy `sessions.json`. */
export interface SessionStore {
  readonly table: SessionTable;
  readonly mirror: SessionMirror;
}

/**
 * Makes ready the sessions of the state directory `stateDir`: removes temporary files of a killed
 * process, sets an unreadable `sessions.json` aside, imports a readable one when the table never had
 * a session, takes over what a person changed in the mirror since, and writes it anew when it differs.
 * Nothing about the file is fatal: it is logged and the database holds. Of several processes only the
 * last one to open writes the file. Close the mirror before the database.
 */
export async function openSessionStore(options: {
  readonly table: SessionTable;
  readonly stateDir: string;
  readonly now: () => number;
  readonly log: Log;
  /** Several state directories share the table: the file of each is written and never read. */
  readonly isShared?: boolean;
}): Promise<SessionStore> {
  const { table, isShared = false } = options;
  const owner = await table.lines.claim();
  const found: MirrorFound = isShared
    ? { kind: "none" }
    : await importSessions({ ...options, owner });
  const mirror = openMirror({ ...options, owner, found });
  await mirror.flush();
  return { table, mirror };
}

/** The session under `key` (see `sessionKey`), or null. */
export async function getSession(store: SessionStore, key: string): Promise<SessionRow | null> {
  return store.table.get(key);
}

/**
 * Inserts or replaces a session; durable when it resolves, mirrored within a second. Throws
 * SessionKeyFailure when key, agent, repository, number and session id do not fit together.
 */
export async function setSession(store: SessionStore, session: SessionRow): Promise<void> {
  const { agent, repo, number, sessionId } = session;
  const key = sessionKey(agent, repo, number);
  if (session.key !== key) {
    throw new SessionKeyFailure("key", session.key, `does not name this session: use ${key}`);
  }
  checkSessionId(sessionId);
  await store.table.put({ ...session, repo: repositoryName(repo) });
  store.mirror.changed();
}

/** Drops the session under `key`; true when there was one. */
export async function dropSession(store: SessionStore, key: string): Promise<boolean> {
  const existed = await store.table.drop(key);
  if (existed) store.mirror.changed();
  return existed;
}

/** Drops every agent's session of one number of a repository; resolves with how many there were. */
export async function dropAllForIssue(
  store: SessionStore,
  repo: string,
  number: number,
): Promise<number> {
  const dropped = await store.table.dropAll(repositoryName(repo), number);
  if (dropped.length > 0) store.mirror.changed();
  return dropped.length;
}
