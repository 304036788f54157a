import type { Forge } from "./forge.ts";
import {
  assigneePayload,
  countComments,
  isDraft,
  labelPayload,
  type Payload,
  pageOf,
  repoPayload,
  time,
  userPayload,
} from "./payloads.ts";
import {
  type Account,
  branchSha,
  fullName,
  type PullIssue,
  type Review,
  type Row,
} from "./state.ts";

/** @returns a pull request object (Forgejo: services/convert/pull.go). */
export function pullPayload(forge: Forge, issue: PullIssue, viewer?: Account): Payload {
  const { pull, repo } = issue;
  const page = pageOf(forge, issue);
  const repository = repoPayload(forge, repo, viewer);
  const isClosed = issue.isClosed;
  return {
    id: pull.id,
    url: `${forge.url()}/api/v1/repos/${fullName(repo)}/pulls/${issue.number}`,
    number: issue.number,
    user: userPayload(forge, issue.author, viewer),
    title: issue.title,
    body: issue.body,
    labels: issue.labels.map((label) => labelPayload(forge, repo, label)),
    milestone: null,
    ...assigneePayload(forge, issue),
    requested_reviewers: requestedReviewers(pull.reviews).map((one) => userPayload(forge, one)),
    requested_reviewers_teams: [],
    state: isClosed ? "closed" : "open",
    draft: isDraft(issue.title),
    is_locked: false,
    comments: countComments(issue),
    review_comments: issue.rows.filter((row) => row.type === "code").length,
    additions: pull.stats.additions,
    deletions: pull.stats.deletions,
    changed_files: pull.stats.files,
    html_url: page,
    diff_url: `${page}.diff`,
    patch_url: `${page}.patch`,
    mergeable: isMergeable(issue),
    merged: pull.merged !== undefined,
    merged_at: time(pull.merged?.at),
    merge_commit_sha: pull.merged?.sha ?? null,
    merged_by: pull.merged === undefined ? null : userPayload(forge, pull.merged.by),
    allow_maintainer_edit: false,
    base: {
      label: pull.baseBranch,
      ref: pull.baseBranch,
      sha: branchSha(repo, pull.baseBranch) ?? "",
      repo_id: repo.id,
      repo: repository,
    },
    head: { ...headOf(issue), repo_id: repo.id, repo: repository },
    merge_base: pull.mergeBase,
    due_date: null,
    created_at: time(issue.createdAt),
    updated_at: time(issue.updatedAt),
    closed_at: time(issue.closedAt),
    pin_order: 0,
    flow: 0,
  };
}

/** @returns a review object (Forgejo: services/convert/pull_review.go). */
export function reviewPayload(
  forge: Forge,
  issue: PullIssue,
  review: Review,
  viewer?: Account,
): Payload {
  const row = issue.rows.find((one) => one.type === "review" && one.reviewId === review.id);
  return {
    id: review.id,
    user: userPayload(forge, review.reviewer, viewer),
    team: null,
    state: review.state,
    body: review.body,
    commit_id: review.commitId,
    stale: review.stale,
    official: review.official,
    dismissed: review.dismissed,
    comments_count: codeRows(issue, review).length,
    submitted_at: time(review.createdAt),
    updated_at: time(review.updatedAt),
    html_url: row === undefined ? "" : `${pageOf(forge, issue)}#issuecomment-${row.id}`,
    pull_request_url: pageOf(forge, issue),
  };
}

/** @returns an inline comment of a review; `position` 0 for a line of the old side. */
export function codeCommentPayload(
  forge: Forge,
  issue: PullIssue,
  { row, viewer }: { row: Row; viewer: Account | undefined },
): Payload {
  const line = row.code?.line ?? 0;
  return {
    id: row.id,
    body: row.body,
    user: userPayload(forge, row.author, viewer),
    resolver: null,
    pull_request_review_id: row.reviewId ?? 0,
    created_at: time(row.createdAt),
    updated_at: time(row.updatedAt),
    path: row.code?.path ?? "",
    commit_id: row.code?.commitSha ?? "",
    original_commit_id: "",
    diff_hunk: row.code?.hunk ?? "",
    position: Math.max(line, 0),
    original_position: Math.max(-line, 0),
    html_url: `${pageOf(forge, issue)}#issuecomment-${row.id}`,
    pull_request_url: pageOf(forge, issue),
  };
}

/** @returns the inline comments of a review. */
export function codeRows(issue: PullIssue, review: Review): Row[] {
  return issue.rows.filter((row) => row.type === "code" && row.reviewId === review.id);
}

/** @returns the head as label, ref and sha: the ref is the forge's own once the branch is gone. */
export function headOf(issue: PullIssue): { label: string; ref: string; sha: string } {
  const { pull, repo } = issue;
  const sha = branchSha(repo, pull.headBranch);
  return {
    label: pull.headBranch,
    ref: sha === undefined ? `refs/pull/${issue.number}/head` : pull.headBranch,
    sha: sha ?? pull.headSha,
  };
}

/** @returns false while computing, for conflicts and for work in progress. */
function isMergeable(issue: PullIssue): boolean {
  return (
    issue.pull.merged === undefined &&
    (issue.pull.status === "mergeable" || issue.pull.status === "empty") &&
    !isDraft(issue.title)
  );
}

/**
 * Despite the name also who has reviewed: the newest undismissed request or verdict of each
 * reviewer counts (Forgejo: models/issues/review_list.go GetReviewsByIssueID).
 */
function requestedReviewers(reviews: readonly Review[]): Account[] {
  const newest = new Map<number, Review>();
  for (const review of reviews) {
    const counts =
      review.state === "APPROVED" ||
      review.state === "REQUEST_CHANGES" ||
      review.state === "REQUEST_REVIEW";
    if (counts && !review.dismissed) newest.set(review.reviewer.id, review);
  }
  return [...newest.values()]
    .toSorted((a, b) => a.updatedAt - b.updatedAt)
    .map((review) => review.reviewer);
}
