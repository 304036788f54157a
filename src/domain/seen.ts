/**
 * What a session has been shown of its work item, compact: enough to tell later what is new since
 * then. Texts that may be edited as a whole (title, body) are kept so that the edit can be shown as
 * a difference; of all others a digest is enough.
 */
export interface Seen {
  readonly title: string;
  readonly body: string;
  readonly pull: SeenPull | null;
  /** Digest of the words by text id (see `textId`). */
  readonly texts: Readonly<Record<string, string>>;
  /** `state@time` of the newest status by context. */
  readonly checks: Readonly<Record<string, string>>;
  /** Ids of the acts (assignments, requests, reopenings) that were told. */
  readonly acts: readonly number[];
}

/** What a session has been shown of the pull request; `base` is a branch, `head` a sha. */
export interface SeenPull {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly base: string;
  readonly head: string;
}

/** A short digest of a text: equal texts have equal ones, and an edit shows. */
export function digestOf(text: string): string {
  return Bun.hash(text).toString(36);
}
