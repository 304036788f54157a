import type { Account, Comment, ItemRef, Pull, Review, Snapshot } from "../domain/snapshot.ts";

/**
 * Why a call to the forge has no answer. `auth` to `unavailable` are no statement about the item
 * (positive evidence); `refused` carries the forge's own words.
 */
export type ForgeFailureKind =
  | "auth"
  | "forbidden"
  | "not_found"
  | "rate_limited"
  | "unavailable"
  | "malformed"
  | "refused";

/** The forge gave no answer that can be used; `kind` says why, and no state follows from it. */
export class ForgeFailure extends Error {
  override readonly name = "ForgeFailure";
  readonly kind: ForgeFailureKind;
  /** HTTP status, or null when no answer came. */
  readonly status: number | null;
  /** Epoch milliseconds from Retry-After, or null. */
  readonly retryAt: number | null;

  constructor(
    kind: ForgeFailureKind,
    message: string,
    details: { status?: number | null; retryAt?: number | null; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.status = details.status ?? null;
    this.retryAt = details.retryAt ?? null;
  }
}

/** What a number of the shared issue/pull space is; enough to find its work item. */
type NumberFacts =
  | { readonly kind: "issue"; readonly number: number }
  | {
      readonly kind: "pull";
      readonly number: number;
      readonly headBranch: string;
      readonly sameRepo: boolean;
      readonly author: Account;
    };

/** What a snapshot is to be read of. */
export interface SnapshotQuery {
  readonly item: ItemRef;
  /** Pull requests known to belong to the item (the table never changes once written). */
  readonly pulls: readonly number[];
  /** Branches whose pull requests belong to the item too, with the login that must have opened them. */
  readonly branches: readonly { readonly branch: string; readonly author: string }[];
  /** The stored snapshot: what it proves unchanged is not read again. */
  readonly previous: Snapshot | null;
}

/** An issue or pull request that changed, as a search lists it. */
export interface ChangedItem {
  readonly repo: string;
  readonly number: number;
  readonly updatedAt: number;
  readonly state: "open" | "closed";
}

/** Reads of the forge, all by one reader token. Every method throws ForgeFailure. */
export interface ForgeReader {
  version(): Promise<string>;
  lookUp(repo: string, number: number): Promise<NumberFacts>;
  /** Pull requests, open and ended, whose head branch has this name in the repository itself. */
  pullsByBranch(repo: string, branch: string): Promise<readonly Pull[]>;
  pullsBySha(repo: string, sha: string): Promise<readonly number[]>;
  snapshot(query: SnapshotQuery): Promise<Snapshot>;
  pull(repo: string, number: number): Promise<Pull>;
  comments(repo: string, number: number): Promise<readonly Comment[]>;
  /**
   * Everything assigned to, requested of, created by or mentioning one agent, in any state,
   * changed since the given time (epoch ms by the forge's clock; 0: what is open, whenever it
   * changed); asked with the agent's token.
   */
  changedFor(agent: string, since: number): Promise<readonly ChangedItem[]>;
  /** Open issues that carry a label, changed since, of all repositories of one owner, or (null) of all there are. */
  changedWithLabel(
    owner: string | null,
    label: string,
    since: number,
  ): Promise<readonly ChangedItem[]>;
  /** Everything in any state changed since, of all repositories of one owner, or (null) of all there are. */
  changedOf(owner: string | null, since: number): Promise<readonly ChangedItem[]>;
  /** The forge's clock minus ours in milliseconds, from the Date header of the newest answer. */
  clockOffset(): number;
}

/** The pull request of the branch, made now or found. */
export type OpenPullAnswer = { readonly kind: "created" | "exists"; readonly number: number };

/** A review as it is posted; `commitId` is the head it is about. */
export interface ReviewSubmission {
  readonly event: "APPROVED" | "REQUEST_CHANGES" | "COMMENT";
  readonly body: string;
  readonly commitId: string;
  readonly comments: readonly {
    readonly path: string;
    readonly line: number;
    readonly body: string;
  }[];
}

/** What became of a merge that was asked for. */
export type MergeAnswer =
  | { readonly kind: "merged" }
  /** 201: the forge wants to merge later by itself; must be cancelled. */
  | { readonly kind: "scheduled" }
  /** 405 while mergeability is computed. */
  | { readonly kind: "try_later"; readonly message: string }
  | { readonly kind: "head_moved"; readonly message: string }
  | { readonly kind: "conflict"; readonly message: string }
  | { readonly kind: "behind"; readonly message: string }
  | { readonly kind: "refused"; readonly status: number; readonly message: string };

/** What one agent's account does on the forge, with its own token. Every method throws ForgeFailure. */
export interface ForgeActor {
  readonly login: string;
  comment(repo: string, number: number, body: string): Promise<{ readonly id: number }>;
  react(target: ReactionTarget, content: "eyes" | "confused"): Promise<void>;
  /** A duplicate (409) is the existing pull request, not a failure. */
  openPull(repo: string, pull: NewPull): Promise<OpenPullAnswer>;
  /** Includes the account's own PENDING drafts, which nobody else sees. */
  reviews(repo: string, pull: number): Promise<readonly Review[]>;
  submitReview(
    repo: string,
    pull: number,
    review: ReviewSubmission,
  ): Promise<{ readonly id: number }>;
  deleteReview(repo: string, pull: number, review: number): Promise<void>;
  requestReview(repo: string, pull: number, logins: readonly string[]): Promise<void>;
  merge(repo: string, pull: number, order: MergeOrder): Promise<MergeAnswer>;
  cancelScheduledMerge(repo: string, pull: number): Promise<void>;
  /** True when it is gone now, false when it was gone before. */
  deleteBranch(repo: string, branch: string): Promise<boolean>;
}

interface ReactionTarget {
  readonly repo: string;
  readonly number: number;
  /** A comment's id, or null for the issue or pull request itself. */
  readonly comment: number | null;
}

/** A pull request to be opened; `head` and `base` are branches of the same repository. */
export interface NewPull {
  readonly head: string;
  readonly base: string;
  readonly title: string;
  readonly body: string;
}

/** How to merge, and the only head that may be merged. */
export interface MergeOrder {
  readonly style: "merge" | "rebase" | "rebase-merge" | "squash" | "fast-forward-only";
  readonly headSha: string;
}

/** The forge: one reader, and each agent as an actor. */
export interface Forge {
  readonly reader: ForgeReader;
  /** The actor of an agent by its configured name; throws on an unknown name (a bug). */
  actor(agent: string): ForgeActor;
}
