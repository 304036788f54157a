/** A session as it is stored; times are epoch ms. */
export interface SessionRow {
  /** `<agent>:<owner>/<repo>#<number>`, repository in lower case. */
  readonly key: string;
  readonly agent: string;
  readonly repo: string;
  readonly number: number;
  readonly sessionId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly resumes: number;
  readonly tainted: boolean;
  /** US dollars of this session's runs, as the gateway has counted them. */
  readonly usdTotal: number;
}

/** One session beside what `sessions.json` may hold of it. */
export interface SessionLine {
  readonly key: string;
  /** Null: it was dropped, but its line may still stand in the file. */
  readonly session: SessionRow | null;
  /** Digest of its line in the file; null: the file has none. */
  readonly written: string | null;
  /** Digest of the line that a write under way puts there, "" when it takes it away; null: none is under way. */
  readonly writing: string | null;
}

/** What a start found in `sessions.json` under one key, and what follows for the session. */
export interface SeenLine {
  readonly key: string;
  /** Digest of the line that stands there, or null. */
  readonly written: string | null;
  readonly change:
    | { readonly kind: "none" }
    | { readonly kind: "put"; readonly session: SessionRow }
    | { readonly kind: "drop" };
}

/**
 * The record of what stands in `sessions.json`, by which a start tells a person's edit from our own
 * older copy. A write announces its digests before the rename and confirms them when the directory is
 * synced, so that after a kill at any moment each line of the file is one of the two known here. What
 * takes an `owner` resolves with false, and has done nothing, when another process has claimed since.
 */
export interface SessionLines {
  /** Makes the caller the only writer of the file from now on; resolves with its `owner` number. */
  claim(): Promise<number>;
  /** Up to `limit` sessions and dropped ones whose key comes after `after`, ordered by key. */
  page(after: string, limit: number): Promise<readonly SessionLine[]>;
  /** Up to `limit` keys whose session has changed or was dropped since this call gave them last; null when somebody else has claimed. */
  takeStale(owner: number, limit: number): Promise<readonly string[] | null>;
  /** What is known of these keys, those that nothing is known of left out. */
  of(keys: readonly string[]): Promise<readonly SessionLine[]>;
  /** Forgets the announcement of a write that ended before its rename. */
  withdraw(owner: number): Promise<boolean>;
  announce(
    owner: number,
    lines: readonly { readonly key: string; readonly digest: string }[],
  ): Promise<boolean>;
  /** Calls `rename` while nobody else can claim. */
  rename(owner: number, rename: () => void): Promise<boolean>;
  confirm(owner: number): Promise<boolean>;
  /** Applies what a start has found, all in one transaction. */
  settle(owner: number, seen: readonly SeenLine[]): Promise<boolean>;
}

/** The sessions, by key. */
export interface SessionTable {
  get(key: string): Promise<SessionRow | null>;
  /** Inserts or replaces; calls of one turn of the event loop share one commit. */
  put(row: SessionRow): Promise<void>;
  /** True when there was one. */
  drop(key: string): Promise<boolean>;
  /** Drops every agent's session of one number; resolves with their keys. */
  dropAll(repo: string, number: number): Promise<readonly string[]>;
  /** Ordered by key. */
  all(): Promise<readonly SessionRow[]>;
  /** Up to `limit` sessions that were last used before `before` (epoch ms), the oldest first. */
  unused(before: number, limit: number): Promise<readonly SessionRow[]>;
  count(): Promise<number>;
  /** True while no session was ever kept here: none is stored and none was dropped. */
  isPristine(): Promise<boolean>;
  readonly lines: SessionLines;
}
