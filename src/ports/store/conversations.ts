import type { TokenUsage } from "../gateway.ts";

/** Why a session is given a new conversation in place of the one it has. */
export type Rotation =
  /** It was resumed often enough. */
  | "resumes"
  /** Its context has grown to the limit. */
  | "context"
  | "age"
  /** The model took no more: its prompt was too long. */
  | "context_full";

/** Why a conversation began. */
export type SessionStart =
  | "first"
  | Rotation
  /** The one before it was not there any more. */
  | "lost"
  /** The one before it must not steer a merge. */
  | "tainted"
  /** An operator dropped the one before it. */
  | "reset"
  /** The one before it was not used for `limits.transcript_days`, and deleted. */
  | "retention"
  /** A person wrote its id into sessions.json. */
  | "by_hand";

/** Why a conversation is no longer the session's. */
export type SessionDrop =
  | Exclude<SessionStart, "first">
  /** Its work item is done. */
  | "closed"
  /** It was taken out of sessions.json, or nobody said why. */
  | "removed";

/** One conversation of a session: the current one, or one that was rotated or dropped. */
export interface Conversation {
  readonly key: string;
  readonly sessionId: string;
  readonly why: SessionStart;
  readonly startedAt: number;
  /** When it was last used, epoch ms. */
  readonly lastSeenAt: number;
  /** Tokens of its newest request, those from the cache included, as the gateway has counted them. */
  readonly contextTokens: number;
  /** What the conversation before it left for it, or null. */
  readonly handOver: string | null;
  readonly endedAt: number | null;
  readonly endedWhy: SessionDrop | null;
  /** All its runs together. */
  readonly usd: number;
  readonly tokens: TokenUsage;
}

/** The history of all sessions; a row comes and goes with every write of the session table. */
export interface ConversationTable {
  /** The current conversation of each key that has one. */
  current(keys: readonly string[]): Promise<ReadonlyMap<string, Conversation>>;
  /** The newest `limit` conversations under a key, newest first. */
  of(key: string, limit: number): Promise<readonly Conversation[]>;
  /** Names the reason before the current conversations of these keys are dropped. */
  ending(keys: readonly string[], why: SessionDrop): Promise<void>;
}

/** What a new conversation is given along. */
export interface Beginning {
  readonly why: SessionStart;
  readonly handOver: string | null;
}
