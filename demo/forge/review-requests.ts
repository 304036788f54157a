import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  pullOf,
  Refusal,
  readBody,
  repoOf,
  room,
  signedIn,
} from "./answers.ts";
import { emitReviewRequest } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { reviewPayload } from "./pull-payload.ts";
import {
  type Account,
  accessOf,
  canWrite,
  findAccount,
  LIMITS,
  nextId,
  type PullIssue,
  type Review,
} from "./state.ts";

const Requested = z.object({
  reviewers: z.array(z.string()).nullish(),
  team_reviewers: z.array(z.string()).nullish(),
});

/** @returns the routes that ask for reviews and withdraw the asking. */
export function reviewRequestRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const path = "/repos/:owner/:repo/pulls/:index{[0-9]+}/requested_reviewers";
  app.post(path, async (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    const sender = signedIn(c);
    const reviewers = await readReviewers(forge, c, { issue, sender, isAdd: true });
    const made = reviewers.flatMap(
      (reviewer) => addReviewRequest(forge, issue, { reviewer, sender }) ?? [],
    );
    return c.json(
      made.map((review) => reviewPayload(forge, issue, review, sender)),
      201,
    );
  });
  app.delete(path, async (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    const sender = signedIn(c);
    const reviewers = await readReviewers(forge, c, { issue, sender, isAdd: false });
    for (const reviewer of reviewers) removeReviewRequest(forge, issue, { reviewer, sender });
    return c.body(null, 204);
  });
  return app;
}

/**
 * Asks an account for a review; asked already, nothing happens. Asking an official reviewer again
 * makes his earlier reviews unofficial. Who asks himself causes no event (Forgejo:
 * models/issues/review.go AddReviewRequest).
 * @throws Refusal 403 for a closed pull request that this account has reviewed before.
 */
export function addReviewRequest(
  forge: Forge,
  issue: PullIssue,
  { reviewer, sender }: { reviewer: Account; sender: Account },
): Review | undefined {
  const { pull, repo } = issue;
  const last = lastReviewOf(issue, reviewer);
  if (last?.state === "REQUEST_REVIEW") return undefined;
  if (last !== undefined && issue.isClosed)
    throw new Refusal(403, "cannot request a re-review on a closed or merged PR");
  room(pull.reviews.length, LIMITS.reviews, "reviews of a pull request");
  const official = canWrite(repo, reviewer);
  const own = pull.reviews.filter((one) => one.reviewer.id === reviewer.id);
  if (official) for (const review of own) review.official = false;
  const review: Review = {
    id: nextId(forge.state),
    reviewer,
    state: "REQUEST_REVIEW",
    body: "",
    commitId: "",
    official,
    stale: false,
    dismissed: false,
    createdAt: forge.now(),
    updatedAt: forge.now(),
  };
  pull.reviews.push(review);
  addRow(forge, issue, "review_request", {
    author: sender,
    assignee: reviewer,
    reviewId: review.id,
  });
  if (sender.id !== reviewer.id) emitReviewRequest(forge, issue, { reviewer, sender, isAdd: true });
  return review;
}

/** @returns the newest verdict or request of an account. */
function lastReviewOf(issue: PullIssue, reviewer: Account): Review | undefined {
  return issue.pull.reviews.findLast(
    (one) =>
      one.reviewer.id === reviewer.id &&
      (one.state === "APPROVED" ||
        one.state === "REQUEST_CHANGES" ||
        one.state === "REQUEST_REVIEW"),
  );
}

function removeReviewRequest(
  forge: Forge,
  issue: PullIssue,
  { reviewer, sender }: { reviewer: Account; sender: Account },
): void {
  const { pull, repo } = issue;
  const asked = pull.reviews.findLast(
    (one) => one.reviewer.id === reviewer.id && one.state === "REQUEST_REVIEW",
  );
  if (asked === undefined) return;
  pull.reviews = pull.reviews.filter((one) => one !== asked);
  const last = lastReviewOf(issue, reviewer);
  if (last !== undefined && canWrite(repo, reviewer)) last.official = true;
  addRow(forge, issue, "review_request", {
    author: sender,
    assignee: reviewer,
    removedAssignee: true,
  });
  if (sender.id !== reviewer.id)
    emitReviewRequest(forge, issue, { reviewer, sender, isAdd: false });
}

async function readReviewers(
  forge: Forge,
  c: ForgeContext,
  { issue, sender, isAdd }: { issue: PullIssue; sender: Account; isAdd: boolean },
): Promise<Account[]> {
  const body = await readBody(c, Requested);
  return (body.reviewers ?? []).map((login) => {
    const reviewer = findAccount(forge.state, login);
    if (reviewer === undefined) throw notFound(`User '${login}' not exist`);
    assertMayChange(issue, { reviewer, sender, isAdd });
    return reviewer;
  });
}

/** Forgejo: services/issue/assignee.go IsValidReviewRequest. */
function assertMayChange(
  issue: PullIssue,
  { reviewer, sender, isAdd }: { reviewer: Account; sender: Account; isAdd: boolean },
): void {
  const { repo } = issue;
  const refuse = (reason: string): Refusal =>
    new Refusal(422, `${reason} [user_id: ${sender.id}, repo_id: ${repo.id}]`);
  if (reviewer.kind === "organization") throw refuse("Organization can't be added as reviewer");
  if (isAdd && accessOf(repo, reviewer) === undefined) throw refuse("Reviewer can't read");
  if (isAdd && reviewer.id === issue.author.id) throw refuse("poster of pr can't be reviewer");
  const mayChange =
    sender.id === issue.author.id ||
    sender.id === repo.owner.id ||
    repo.owner.owners.has(sender.id) ||
    repo.collaborators.has(sender.id);
  const withdrawsOwn = !isAdd && sender.id === reviewer.id;
  if (!mayChange && !withdrawsOwn)
    throw refuse(isAdd ? "Doer can't choose reviewer" : "Doer can't remove reviewer");
}
