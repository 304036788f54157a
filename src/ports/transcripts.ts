/** One conversation of a session. No path is part of it, so that another host finds it, too. */
export interface TranscriptKey {
  /** Key of the session, e.g. `boss:acme/widgets#42`. */
  readonly session: string;
  /** Id of the conversation, a UUID. */
  readonly id: string;
}

/** The claim a run is made under; a later claim of the same work item has a higher fence. */
export interface TranscriptHolder {
  readonly owner: string;
  readonly fence: number;
}

/** One line of a transcript. */
export interface TranscriptEntry {
  /** Names the entry within its conversation, up to 200 characters: appending it again changes nothing. */
  readonly id: string;
  /** The line as JSON, without the line feed. */
  readonly text: string;
}

/** A line as it is read again; `at` counts from 1. */
export interface TranscriptLine {
  readonly at: number;
  readonly text: string;
}

/** Why the shared transcripts refuse. */
export type TranscriptFailureKind =
  /** Somebody else has taken the session since, or it was dropped; trying again changes nothing. */
  | "stale"
  /** The conversation or one of its lines is larger than what is kept; trying again changes nothing. */
  | "too_large"
  /** The store did not answer in time, or not with what was asked. */
  | "unavailable";

/** What a store of transcripts refuses. */
export class TranscriptFailure extends Error {
  override readonly name = "TranscriptFailure";
  readonly kind: TranscriptFailureKind;

  constructor(kind: TranscriptFailureKind, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * Where several hosts share the conversations of all sessions. Only the newest holder of a session
 * may append to its transcripts. Every call may also throw what the database says.
 */
export interface TranscriptStore {
  /** Makes `holder` the one who may append, before it reads anything. Throws TranscriptFailure `stale` when somebody with a newer claim has done so. */
  take(session: string, holder: TranscriptHolder): Promise<void>;
  /** Adds what is not there yet, in this order and in one transaction; resolves with how many that were. Throws TranscriptFailure `stale` or `too_large`, and nothing is written. */
  append(
    key: TranscriptKey,
    holder: TranscriptHolder,
    entries: readonly TranscriptEntry[],
  ): Promise<number>;
  has(key: TranscriptKey): Promise<boolean>;
  /** Up to `limit` lines after the line `from` ("forward"), or before it, the newest first ("back"; null: from the end). */
  lines(
    key: TranscriptKey,
    page: {
      readonly from: number | null;
      readonly limit: number;
      readonly order: "forward" | "back";
    },
  ): Promise<readonly TranscriptLine[]>;
  /** Deletes one conversation; true when there was one. Its session may be written to as before. */
  drop(key: TranscriptKey): Promise<boolean>;
  /** Deletes all of a session and its holder, who may no longer append; resolves with how many conversations there were. With `before` (epoch ms) only if nobody has taken it since; else null, and nothing is deleted. */
  dropConversations(session: string): Promise<number>;
  dropConversations(session: string, before: number): Promise<number | null>;
  /** Up to `limit` keys of sessions that nobody has taken since `before` (epoch ms), the oldest first. */
  unused(before: number, limit: number): Promise<readonly string[]>;
  close(): Promise<void>;
}
