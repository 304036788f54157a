import type { SessionStore } from "@anthropic-ai/claude-agent-sdk";
import type { Log } from "../ports/observe.ts";
import {
  type TranscriptEntry,
  TranscriptFailure,
  type TranscriptHolder,
  type TranscriptKey,
  type TranscriptStore,
} from "../ports/transcripts.ts";
import { waitAtMost } from "../time/wait-at-most.ts";
import { answered } from "./answered.ts";

/** Bounds of one run's mirror; tests make them smaller. */
export interface MirrorLimits {
  /** How long one append may take. */
  readonly attemptMs: number;
  /** How often one piece is tried. */
  readonly attempts: number;
  /** The first pause between two tries; each further one is twice as long, up to 5 s. */
  readonly backoffMs: number;
  /** How long the end of a run waits for what is still to be written. */
  readonly closeMs: number;
  /** What may wait to be written. */
  readonly waitingBytes: number;
}

/** 20 s of trying a database that refuses, 40 s of one that hangs: about as long as a lease lasts. */
export const MIRROR_LIMITS: MirrorLimits = {
  attemptMs: 2_000,
  attempts: 9,
  backoffMs: 100,
  closeMs: 4_000,
  waitingBytes: 64 * 1024 * 1024,
};

const BACKOFF_MS_MAX = 5_000;
/** One append; a single larger line is one of its own. */
const PIECE_LINES_MAX = 200;
const PIECE_BYTES_MAX = 1024 * 1024;

/** Writes what the CLI tells of its transcript to the store that hosts share. */
export interface TranscriptMirror {
  /** What the SDK is given. Its appends are taken over at once, so that no answer of Claude waits for a database. */
  readonly sessionStore: SessionStore;
  /** Resolves when everything is written, or given up after `closeMs`; then nothing more is taken. */
  close(): Promise<void>;
}

/**
 * The mirror of one conversation during one query. Lines are written in the order in which they came
 * and never with a gap: the CLI reads a transcript back along its links, and what lies before a
 * missing line would be lost silently (measured with CLI 2.1.330). So one line that cannot be written
 * within the limits ends the mirror; the transcript in the session's own directory is then ahead, and
 * since the store is the truth, the conversation goes on from before that line. `newEntryId` names
 * the lines that the CLI gives no id (a third of them), so that trying again doubles nothing.
 */
export function openTranscriptMirror(options: MirrorOptions): TranscriptMirror {
  const { key, newEntryId, log } = options;
  const lines = writeLines(options);
  let foreign = 0;

  return {
    sessionStore: {
      async append(of, entries) {
        // An agent with a shell can speak in its CLI's place: what it says of others is not heard.
        if (of.sessionId !== key.id || of.subpath !== undefined) {
          foreign += entries.length;
          return;
        }
        lines.add(
          entries.map((entry) => ({ id: entry.uuid ?? newEntryId(), text: JSON.stringify(entry) })),
        );
      },
      // The transcript already lies in the session's directory (lay-out-transcript.ts): the SDK would
      // put it into a directory of the host that the jail does not show.
      async load() {
        return null;
      },
    },
    async close() {
      await lines.close();
      if (foreign > 0) log.warn("lines of other transcripts were not taken", { ...key, foreign });
    },
  };
}

/** What a mirror is made of. */
interface MirrorOptions {
  readonly transcripts: TranscriptStore;
  readonly key: TranscriptKey;
  readonly holder: TranscriptHolder;
  readonly holdsLease?: (() => boolean) | undefined;
  readonly newEntryId: () => string;
  readonly limits: MirrorLimits;
  readonly log: Log;
}

interface WaitingLine {
  readonly entry: TranscriptEntry;
  readonly bytes: number;
}

/** Writes lines in order and within the limits, or gives all up from the first that cannot be written. */
function writeLines(options: Omit<MirrorOptions, "newEntryId">): {
  /** Takes them over at once. */
  add(entries: readonly TranscriptEntry[]): void;
  close(): Promise<void>;
} {
  const { key, limits, log } = options;
  const waiting: WaitingLine[] = [];
  const ended = new AbortController();
  let waitingBytes = 0;
  let isBroken = false;
  let draining: Promise<void> | null = null;

  return {
    add(entries) {
      for (const entry of entries) enqueue(entry);
      if (!isBroken && waiting.length > 0) draining ??= drain();
    },
    async close() {
      if (draining !== null)
        await Promise.race([draining, waitAtMost(limits.closeMs, ended.signal)]);
      if (waiting.length > 0 && !isBroken) giveUp(`not written within ${limits.closeMs} ms`);
      isBroken = true;
      ended.abort();
    },
  };

  function enqueue(entry: TranscriptEntry): void {
    if (isBroken) return;
    const bytes = Buffer.byteLength(entry.text);
    waitingBytes += bytes;
    waiting.push({ entry, bytes });
    if (waitingBytes > limits.waitingBytes) {
      giveUp(`more than ${limits.waitingBytes} bytes wait to be written`);
    }
  }

  /** Never rejects. */
  async function drain(): Promise<void> {
    while (waiting.length > 0 && !isBroken) await writePiece(pieceOf(waiting));
    draining = null;
  }

  async function writePiece(piece: readonly TranscriptEntry[]): Promise<void> {
    for (let attempt = 1; !isBroken; attempt += 1) {
      const refusal = await tryPiece(options, piece);
      if (refusal === null) {
        for (const { bytes } of waiting.splice(0, piece.length)) waitingBytes -= bytes;
        return;
      }
      const { isFinal, reason } = refusal;
      if (isFinal || attempt >= limits.attempts) return giveUp(reason);
      log.debug("a transcript could not be written, trying again", { ...key, attempt, reason });
      const ms = Math.min(limits.backoffMs * 2 ** (attempt - 1), BACKOFF_MS_MAX);
      await waitAtMost(ms, ended.signal);
    }
  }

  function giveUp(reason: string): void {
    if (isBroken) return;
    isBroken = true;
    log.warn("the shared transcript is behind: the conversation goes on from before these lines", {
      conversation: key.id,
      session: key.session,
      lines: waiting.length,
      reason,
    });
    waiting.length = 0;
    waitingBytes = 0;
  }
}

/** Null: it is written; else why it is not, and whether trying again is of no use. */
async function tryPiece(
  { transcripts, key, holder, holdsLease, limits }: Omit<MirrorOptions, "newEntryId" | "log">,
  piece: readonly TranscriptEntry[],
): Promise<{ readonly isFinal: boolean; readonly reason: string } | null> {
  try {
    // The store refuses whoever is too late; who knows that he may be soon does not even ask.
    if (holdsLease?.() === false) {
      throw new TranscriptFailure("unavailable", "the claim could not be renewed");
    }
    await answered(limits.attemptMs, transcripts.append(key, holder, piece));
    return null;
  } catch (error) {
    const isFinal = error instanceof TranscriptFailure && error.kind !== "unavailable";
    return { isFinal, reason: error instanceof Error ? error.message : String(error) };
  }
}

function pieceOf(waiting: readonly WaitingLine[]): readonly TranscriptEntry[] {
  let total = 0;
  const end = waiting.findIndex(({ bytes }, index) => {
    total += bytes;
    return index > 0 && (total > PIECE_BYTES_MAX || index >= PIECE_LINES_MAX);
  });
  return waiting.slice(0, end === -1 ? waiting.length : end).map(({ entry }) => entry);
}
