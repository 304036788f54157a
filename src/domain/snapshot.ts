/** An account of the forge; `id` is its number there, which never passes to another one. */
export interface Account {
  readonly id: number;
  readonly login: string;
}

/** A work item: an issue with the pull request opened for it, or a pull request of its own. */
export interface ItemRef {
  /** `owner/name` in lower case. */
  readonly repo: string;
  readonly number: number;
}

/** A comment in the thread of an issue or a pull request. */
export interface Comment {
  readonly id: number;
  /** The issue or pull request in whose thread it stands. */
  readonly number: number;
  readonly author: Account;
  readonly body: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** One row of the timeline that says who gave or took the item, and when. */
export interface Act {
  readonly id: number;
  readonly kind:
    | "assigned"
    | "unassigned"
    | "labeled"
    | "unlabeled"
    | "closed"
    | "reopened"
    | "review_requested"
    | "review_request_removed";
  /** The issue or pull request in whose timeline it stands. */
  readonly number: number;
  readonly actor: Account;
  /** Who was (un)assigned or asked for a review; null for the other kinds. */
  readonly subject: Account | null;
  /** The label set or removed; null for the other kinds. */
  readonly label: string | null;
  readonly at: number;
}

type ReviewState = "APPROVED" | "REQUEST_CHANGES" | "COMMENT" | "PENDING" | "REQUEST_REVIEW";

/** A remark of a review at a line of a file. */
export interface LineComment {
  readonly id: number;
  readonly path: string;
  /** Line in the new version of the file; 0 when the forge gives none. */
  readonly line: number;
  readonly body: string;
  readonly hunk: string;
  readonly createdAt: number;
}

/** What an account submitted about a pull request, or (`REQUEST_REVIEW`) is asked to. */
export interface Review {
  readonly id: number;
  readonly author: Account;
  readonly state: ReviewState;
  readonly commitId: string;
  readonly official: boolean;
  readonly stale: boolean;
  readonly dismissed: boolean;
  readonly body: string;
  readonly submittedAt: number;
  readonly comments: readonly LineComment[];
}

type CheckState = "pending" | "success" | "error" | "failure" | "warning" | "skipped";

/** The newest status of one context of the head commit. */
export interface Check {
  readonly context: string;
  readonly state: CheckState;
  readonly description: string;
  readonly at: number;
}

/** A pull request with everything decisions need of it. */
export interface Pull {
  readonly number: number;
  readonly title: string;
  readonly body: string;
  readonly author: Account;
  readonly state: "open" | "closed";
  readonly merged: boolean;
  readonly draft: boolean;
  /** Branch name from head.label when head.ref is `refs/pull/N/head`. */
  readonly headBranch: string;
  readonly headSha: string;
  /** The head lies in the same repository, not in a fork. */
  readonly sameRepo: boolean;
  readonly baseBranch: string;
  readonly baseSha: string;
  readonly requestedReviewers: readonly Account[];
  /** All reviews that are not PENDING drafts, oldest first. */
  readonly reviews: readonly Review[];
  readonly checks: readonly Check[];
  readonly changedPaths: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
  /** When it was closed or merged; null while open. */
  readonly endedAt: number | null;
}

/**
 * What the forge says about a work item at one moment, in our words. A snapshot is complete or it
 * does not exist: a half-read one is a failure of the forge, never a state (positive evidence).
 * All times are epoch milliseconds by the forge's clock.
 */
export interface Snapshot {
  readonly item: ItemRef;
  /** `pull`: the number is a pull request that belongs to no issue. */
  readonly kind: "issue" | "pull";
  readonly title: string;
  readonly body: string;
  readonly author: Account;
  readonly state: "open" | "closed";
  readonly assignees: readonly Account[];
  readonly labels: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Of the issue and of its pull request, oldest first. */
  readonly comments: readonly Comment[];
  /** Of the issue and of its pull request, oldest first. */
  readonly acts: readonly Act[];
  /** The open pull request of the item, else its newest, or null. */
  readonly pull: Pull | null;
  /** Everybody with write access to the repository, by the forge's own answer. */
  readonly writers: readonly Account[];
  /** The ids under which the logins named in the configuration were first seen, by login in lower case. */
  readonly named?: Readonly<Record<string, number>>;
  /** When the service read it (its own clock). */
  readonly readAt: number;
}
