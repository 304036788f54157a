import { room } from "./answers.ts";
import { emitReview } from "./events.ts";
import { addRow, type Forge, noteMentions } from "./forge.ts";
import { isSameDiff } from "./pull-check.ts";
import {
  type Account,
  canWrite,
  LIMITS,
  nextId,
  type PullIssue,
  type Review,
  type ReviewState,
} from "./state.ts";

type Submission = { sender: Account; state: ReviewState; body: string; commitId: string };

/**
 * Submits a review: the pending one of this account if there is one, else a new one (Forgejo:
 * models/issues/review.go SubmitReview). Only a review that was never pending dismisses the
 * earlier verdicts of its author; a verdict always makes them unofficial and clears the request,
 * a COMMENT with inline comments (which was pending) leaves the request standing.
 */
export async function submitReview(
  forge: Forge,
  issue: PullIssue,
  submission: Submission,
): Promise<Review> {
  const { sender, state, body, commitId } = submission;
  const isVerdict = state === "APPROVED" || state === "REQUEST_CHANGES";
  const { pull } = issue;
  const stale =
    isVerdict &&
    commitId !== pull.headSha &&
    !(await isSameDiff(forge, issue, { before: commitId, after: pull.headSha }));
  const own = pull.reviews.filter((one) => one.reviewer.id === sender.id);
  const pending = own.find((one) => one.state === "PENDING");
  if (isVerdict) for (const review of own) review.official = false;
  if (pending === undefined && isVerdict)
    for (const review of own)
      if (review.state === "APPROVED" || review.state === "REQUEST_CHANGES")
        review.dismissed = true;
  const clearsRequest = isVerdict || (pending === undefined && state !== "PENDING");
  if (clearsRequest)
    pull.reviews = pull.reviews.filter(
      (one) => one.reviewer.id !== sender.id || one.state !== "REQUEST_REVIEW",
    );
  const review = pending ?? addReview(forge, issue, { sender, commitId });
  review.state = state;
  review.body = body;
  review.commitId = commitId;
  review.stale = stale;
  review.official = isVerdict && canWrite(issue.repo, sender);
  review.updatedAt = forge.now();
  addRow(forge, issue, "review", { author: sender, body, reviewId: review.id });
  noteMentions(forge, issue, body);
  emitReview(forge, issue, review);
  return review;
}

/** Adds an inline comment to the pending review of an account, which is begun if there is none. */
export async function addCodeComment(
  forge: Forge,
  issue: PullIssue,
  {
    sender,
    commitId,
    path,
    body,
    line,
  }: {
    sender: Account;
    commitId: string;
    path: string;
    body: string;
    line: number;
  },
): Promise<void> {
  const pending =
    issue.pull.reviews.find((one) => one.reviewer.id === sender.id && one.state === "PENDING") ??
    addReview(forge, issue, { sender, commitId });
  const range = [issue.pull.mergeBase, commitId, "--", path];
  const diff = await forge.git.run(issue.repo.path, ["diff", "--no-color", ...range]);
  const hunk = diff.stdout.slice(Math.max(diff.stdout.indexOf("\n@@") + 1, 0));
  addRow(forge, issue, "code", {
    author: sender,
    body,
    reviewId: pending.id,
    code: { path, line, commitSha: commitId, hunk: hunk.startsWith("@@") ? hunk : "" },
  });
  noteMentions(forge, issue, body);
}

function addReview(
  forge: Forge,
  issue: PullIssue,
  { sender, commitId }: { sender: Account; commitId: string },
): Review {
  room(issue.pull.reviews.length, LIMITS.reviews, "reviews of a pull request");
  const review: Review = {
    id: nextId(forge.state),
    reviewer: sender,
    state: "PENDING",
    body: "",
    commitId,
    official: false,
    stale: false,
    dismissed: false,
    createdAt: forge.now(),
    updatedAt: forge.now(),
  };
  issue.pull.reviews.push(review);
  return review;
}
