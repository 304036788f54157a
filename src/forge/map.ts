import type {
  Account,
  Act,
  Check,
  Comment,
  LineComment,
  Pull,
  Review,
} from "../domain/snapshot.ts";
import type {
  CommentRow,
  LineCommentRow,
  PullRow,
  ReviewRow,
  StatusRow,
  TimelineRow,
} from "./schema.ts";

/** What the forge shows for an account that was deleted (Forgejo: models/user/user_system.go). */
const GHOST: Account = { id: -1, login: "Ghost" };

/** An account as the domain knows it. */
export function accountOf(user: Account | null): Account {
  return user === null ? GHOST : { id: user.id, login: user.login };
}

/** `number`: the issue or pull request in whose thread the comment stands. */
export function commentOf(row: CommentRow, number: number): Comment {
  return {
    id: row.id,
    number,
    author: accountOf(row.user),
    body: row.body,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/**
 * The act a timeline row is, or null for the kinds we do not read. Types are the strings of
 * Forgejo: models/issues/comment.go commentStrings. A label row has body "1" when the label was
 * set, "" when it was removed; a row of a review request to a team has no assignee.
 */
export function actOf(row: TimelineRow, number: number): Act | null {
  const kind = actKind(row);
  if (kind === null) return null;
  const hasSubject = kind !== "labeled" && kind !== "unlabeled";
  return {
    id: row.id,
    kind,
    number,
    actor: accountOf(row.user),
    subject: hasSubject && row.assignee !== null ? accountOf(row.assignee) : null,
    label: hasSubject ? null : (row.label?.name ?? null),
    at: row.created_at,
  };
}

function actKind(row: TimelineRow): Act["kind"] | null {
  const isRemoved = row.removed_assignee === true;
  switch (row.type) {
    case "assignees":
      if (row.assignee === null) return null;
      return isRemoved ? "unassigned" : "assigned";
    case "review_request":
      if (row.assignee === null) return null;
      return isRemoved ? "review_request_removed" : "review_requested";
    case "label":
      if (row.label === null || row.label === undefined) return null;
      return row.body === "1" ? "labeled" : "unlabeled";
    case "close":
      return "closed";
    case "reopen":
      return "reopened";
    default:
      return null;
  }
}

/** A review without its line comments; null for a request to a team, which has no account. */
export function reviewOf(row: ReviewRow, comments: readonly LineComment[]): Review | null {
  if (row.user === null && row.state === "REQUEST_REVIEW") return null;
  return {
    id: row.id,
    author: accountOf(row.user),
    state: row.state,
    commitId: row.commit_id,
    official: row.official,
    stale: row.stale,
    dismissed: row.dismissed,
    body: row.body,
    submittedAt: row.submitted_at,
    comments,
  };
}

/** Forgejo: services/convert/pull_review.go: `position` is the line on the new side, else 0. */
export function lineCommentOf(row: LineCommentRow): LineComment {
  return {
    id: row.id,
    path: row.path,
    line: row.position ?? 0,
    body: row.body,
    hunk: row.diff_hunk,
    createdAt: row.created_at,
  };
}

/** The newest status of each context; ids grow with time (Forgejo: models/git/commit_status.go). */
export function checksOf(rows: readonly StatusRow[]): readonly Check[] {
  const newest = new Map<string, StatusRow>();
  for (const row of rows) {
    const known = newest.get(row.context);
    if (known === undefined || known.id < row.id) newest.set(row.context, row);
  }
  return [...newest.values()]
    .sort((a, b) => a.id - b.id)
    .map((row) => ({
      context: row.context,
      state: row.status,
      description: row.description,
      at: row.created_at,
    }));
}

/** What a pull request object says by itself. */
export type BarePull = Omit<Pull, "reviews" | "checks" | "changedPaths">;

/**
 * Forgejo: services/convert/pull.go: head.ref is `refs/pull/N/head` once the branch is gone, and
 * head.label keeps its name. There is no draft flag on old servers; then the title says it.
 */
export function barePullOf(row: PullRow): BarePull {
  return {
    number: row.number,
    title: row.title,
    body: row.body,
    author: accountOf(row.user),
    state: row.state,
    merged: row.merged,
    draft: row.draft ?? /^(?:wip:|\[wip\])/i.test(row.title.trim()),
    headBranch: headBranchOf(row),
    headSha: row.head.sha,
    sameRepo: isSameRepo(row),
    baseBranch: row.base.ref,
    baseSha: row.base.sha,
    requestedReviewers: row.requested_reviewers.filter((user) => user !== null).map(accountOf),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    endedAt: row.state === "open" ? null : (row.merged_at ?? row.closed_at ?? row.updated_at),
  };
}

/** The name of the head branch, also when the branch is gone. */
export function headBranchOf(row: PullRow): string {
  if (!/^refs\/pull\/\d+\/head$/.test(row.head.ref)) return row.head.ref;
  return row.head.label === "" ? row.head.ref : row.head.label;
}

/** Whether the head lies in the repository of the base, not in a fork. */
export function isSameRepo(row: PullRow): boolean {
  return row.head.repo_id > 0 && row.head.repo_id === row.base.repo_id;
}
