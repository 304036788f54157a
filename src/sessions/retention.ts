import type { ItemRef } from "../domain/snapshot.ts";
import type { Log } from "../ports/observe.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { Store } from "../ports/store.ts";
import type { TranscriptStore } from "../ports/transcripts.ts";
import { waitAtMost } from "../time/wait-at-most.ts";
import { parseSessionKey, SessionKeyFailure, sessionKey } from "./key.ts";

/** Also at the start: what was missed while the service was down is looked at before anything is old. */
const LOOK_EVERY_MS_MAX = 10 * 60_000;
const LOOK_EVERY_MS_MIN = 1000;
/** Nothing runs on an item for as long; moving its directories away takes milliseconds. */
const LEASE_MS = 60_000;
/** Of one turn; the rest waits for the next. */
const DROPS_MAX = 200;

/** Whose directory it is. */
export interface SessionOwner extends ItemRef {
  readonly agent: string;
}

/** The sessions' own directories: the CLI's configuration and, where hosts share no transcripts, these. */
export interface SessionHomes {
  /** Every one that lies in the state directory. */
  list(): AsyncIterable<SessionOwner>;
  /** When anything of it was last written, epoch ms; null when there is none. */
  usedAt(of: SessionOwner): Promise<number | null>;
  /** Moves it away at once and deletes it; false when there was none. */
  discard(of: SessionOwner): Promise<boolean>;
}

/** What retention is done with. */
export interface Retention {
  readonly store: {
    readonly sessions: Pick<Store["sessions"], "get" | "unused" | "drop">;
    readonly conversations: Pick<Store["conversations"], "ending">;
    readonly work: Pick<Store["work"], "claimItem" | "release" | "item">;
  };
  readonly homes: SessionHomes;
  /** Where hosts share transcripts. */
  readonly transcripts: Pick<TranscriptStore, "unused" | "dropConversations"> | null;
  /** So long a session and what belongs to it are kept unused, in milliseconds. */
  readonly unusedMs: number;
  /** The name under which this state directory holds leases. */
  readonly owner: string;
  /** Called after the session table changed. */
  readonly sessionsChanged: () => void;
  /** Epoch ms. */
  readonly now: () => number;
  readonly log: Log;
}

/** How much was dropped. */
export interface Dropped {
  readonly sessions: number;
  /** Directories that belonged to no session any more. */
  readonly homes: number;
  /** Sessions of the shared transcripts that this database knows nothing of. */
  readonly transcripts: number;
}

/** `dropUnused` every ten minutes, or as often as `unusedMs` if that is less, until the signal. */
export async function retainForEver(
  retention: Retention & { readonly signal: AbortSignal },
): Promise<void> {
  const { unusedMs, signal, log } = retention;
  const everyMs = Math.max(Math.min(unusedMs, LOOK_EVERY_MS_MAX), LOOK_EVERY_MS_MIN);
  while (!signal.aborted) {
    await waitAtMost(everyMs, signal);
    if (signal.aborted) return;
    try {
      await dropUnused(retention);
    } catch (error) {
      log.warn("unused sessions could not be dropped", { reason: String(error) });
    }
  }
}

/**
 * Drops every session that was not used for `unusedMs`, with its transcript, and what belongs to no
 * session and is as old. Each only while nothing runs on its work item, nor can begin to: under the
 * item's lease. A session whose agent has an order waiting is about to be used and stays; so does one
 * whose transcript is newer than its row, which may have been brought back from a copy.
 */
export async function dropUnused(retention: Retention): Promise<Dropped> {
  const before = retention.now() - retention.unusedMs;
  let sessions = 0;
  for (const session of await retention.store.sessions.unused(before, DROPS_MAX)) {
    if (await atRest(retention, session, () => dropIfUnused(retention, session, before))) {
      sessions += 1;
    }
  }
  const homes = await dropHomes(retention, before);
  const transcripts = await dropTranscripts(retention, before);
  const dropped = { sessions, homes, transcripts };
  if (sessions > 0) retention.sessionsChanged();
  if (sessions + homes + transcripts > 0) retention.log.info("unused sessions dropped", dropped);
  return dropped;
}

/** Does `act` while nobody else has the item; false when somebody has it, or when `act` says so. */
async function atRest(
  { store, owner }: Retention,
  { repo, number }: ItemRef,
  act: () => Promise<boolean>,
): Promise<boolean> {
  const item = { repo, number };
  const claim = await store.work.claimItem(item, owner, LEASE_MS);
  if (claim === null) {
    // Of an item that is not known nothing can run.
    return (await store.work.item(item)) === null && (await act());
  }
  try {
    return await act();
  } finally {
    await store.work.release(claim);
  }
}

async function dropIfUnused(
  { store, homes, transcripts, log }: Retention,
  { key, agent, repo, number }: SessionRow,
  before: number,
): Promise<boolean> {
  const session = await store.sessions.get(key);
  if (session === null || session.updatedAt >= before) return false;
  if ((await store.work.item({ repo, number }))?.waitsFor === agent) return false;
  const home = { agent, repo, number };
  if (transcripts === null) {
    if (((await homes.usedAt(home)) ?? 0) >= before) return false;
  } else if ((await transcripts.dropConversations(key, before)) === null) {
    return false;
  }
  await store.conversations.ending([key], "retention");
  await store.sessions.drop(key);
  await homes.discard(home);
  log.info("session dropped", { key, session: session.sessionId, why: "retention" });
  return true;
}

/** Where hosts share transcripts, a directory is a copy to work on, which any later run makes anew. */
async function dropHomes(retention: Retention, before: number): Promise<number> {
  const { store, homes, transcripts } = retention;
  const isLeft = async (home: SessionOwner): Promise<boolean> => {
    const key = keyOf(home);
    if (key === null) return false;
    if (transcripts === null && (await store.sessions.get(key)) !== null) return false;
    return ((await homes.usedAt(home)) ?? before) < before;
  };
  let dropped = 0;
  for await (const home of homes.list()) {
    if (dropped >= DROPS_MAX) break;
    if (!(await isLeft(home))) continue;
    const isGone = await atRest(retention, home, async () => {
      return (await isLeft(home)) && (await homes.discard(home));
    });
    if (isGone) dropped += 1;
  }
  return dropped;
}

/** What stayed in the shared transcripts when a session was dropped while they did not answer. */
async function dropTranscripts(retention: Retention, before: number): Promise<number> {
  const { store, transcripts } = retention;
  let dropped = 0;
  for (const key of (await transcripts?.unused(before, DROPS_MAX)) ?? []) {
    if ((await store.sessions.get(key)) !== null) continue;
    const isGone = await atRest(retention, parseSessionKey(key), async () => {
      if ((await store.sessions.get(key)) !== null) return false;
      return (await transcripts?.dropConversations(key, before)) !== null;
    });
    if (isGone) dropped += 1;
  }
  return dropped;
}

/** Null for a directory that no session can have. */
function keyOf({ agent, repo, number }: SessionOwner): string | null {
  try {
    return sessionKey(agent, repo, number);
  } catch (error) {
    if (error instanceof SessionKeyFailure) return null;
    throw error;
  }
}
