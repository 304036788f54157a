import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  numberParam,
  page,
  pullOf,
  Refusal,
  readBody,
  repoOf,
  signedIn,
} from "./answers.ts";
import { addRow, type Forge } from "./forge.ts";
import { codeCommentPayload, codeRows, reviewPayload } from "./pull-payload.ts";
import { type Account, accessOf, type PullIssue, type Review, type ReviewState } from "./state.ts";
import { addCodeComment, submitReview } from "./submit-review.ts";

const NewReview = z.object({
  event: z.string().default(""),
  body: z.string().default(""),
  commit_id: z.string().default(""),
  comments: z
    .array(
      z.object({
        path: z.string(),
        body: z.string(),
        new_position: z.number().int().default(0),
        old_position: z.number().int().default(0),
      }),
    )
    .nullish(),
});
const Submission = z.object({ event: z.string().default(""), body: z.string().default("") });
const Dismissal = z.object({ message: z.string().default(""), priors: z.boolean().default(false) });

/** @returns the routes of reviews. */
export function reviewRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/pulls/:index{[0-9]+}/reviews";
  app.get(base, (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    const viewer = signedIn(c);
    const all = page(forge, c, issue.pull.reviews, { link: false });
    const shown = all.filter((review) => maySee(review, viewer));
    return c.json(shown.map((review) => reviewPayload(forge, issue, review, viewer)));
  });
  app.post(base, (c) => createReview(forge, c));
  app.get(`${base}/:id{[0-9]+}`, (c) => {
    const { issue, review } = reviewOf(forge, c);
    return c.json(reviewPayload(forge, issue, review, c.get("account")));
  });
  app.post(`${base}/:id{[0-9]+}`, async (c) => {
    const { issue, review } = reviewOf(forge, c);
    const sender = signedIn(c);
    if (review.state !== "PENDING")
      throw new Refusal(422, "only a pending review can be submitted");
    const form = await readBody(c, Submission);
    const hasComments = codeRows(issue, review).length > 0;
    const state = reviewStateOf(issue, { ...form, sender, hasComments });
    if (state === "PENDING") throw new Refusal(422, "review stay pending");
    const commitId = issue.pull.headSha;
    const done = await submitReview(forge, issue, { sender, state, body: form.body, commitId });
    return c.json(reviewPayload(forge, issue, done, sender));
  });
  app.get(`${base}/:id{[0-9]+}/comments`, (c) => {
    const { issue, review } = reviewOf(forge, c);
    const viewer = c.get("account");
    const rows = codeRows(issue, review);
    return c.json(rows.map((row) => codeCommentPayload(forge, issue, { row, viewer })));
  });
  app.delete(`${base}/:id{[0-9]+}`, (c) => {
    const { issue, review } = reviewOf(forge, c);
    const sender = signedIn(c);
    if (!sender.isAdmin && review.reviewer.id !== sender.id)
      throw new Refusal(403, "only admin and user itself can delete a review");
    deleteReview(issue, review);
    return c.body(null, 204);
  });
  for (const [word, dismissed] of [
    ["dismissals", true],
    ["undismissals", false],
  ] as const)
    app.post(`${base}/:id{[0-9]+}/${word}`, (c) => dismiss(forge, c, dismissed));
  return app;
}

async function createReview(forge: Forge, c: ForgeContext): Promise<Response> {
  const issue = pullOf(repoOf(forge, c), c);
  const sender = signedIn(c);
  const form = await readBody(c, NewReview);
  const comments = form.comments ?? [];
  const state = reviewStateOf(issue, { ...form, sender, hasComments: comments.length > 0 });
  const commitId = form.commit_id === "" ? issue.pull.headSha : form.commit_id;
  for (const { path, body, new_position, old_position } of comments) {
    const line = old_position > 0 ? -old_position : new_position;
    await addCodeComment(forge, issue, { sender, commitId, path, body, line });
  }
  const review = await submitReview(forge, issue, { sender, state, body: form.body, commitId });
  return c.json(reviewPayload(forge, issue, review, sender));
}

/** Forgejo: routers/api/v1/repo/pull_review.go preparePullReviewType. */
function reviewStateOf(
  issue: PullIssue,
  {
    event,
    body,
    sender,
    hasComments,
  }: {
    event: string;
    body: string;
    sender: Account;
    hasComments: boolean;
  },
): ReviewState {
  const isOwn = issue.author.id === sender.id;
  const hasBody = body.trim() !== "";
  switch (event) {
    case "APPROVED":
      if (isOwn) throw new Refusal(422, "approve your own pull is not allowed");
      return "APPROVED";
    case "COMMENT":
      if (!hasBody && !hasComments)
        throw new Refusal(422, "review event COMMENT requires a body or a comment");
      return "COMMENT";
    case "REQUEST_CHANGES":
      if (isOwn) throw new Refusal(422, "reject your own pull is not allowed");
      if (!hasBody) throw new Refusal(422, "review event REQUEST_CHANGES requires a body");
      return "REQUEST_CHANGES";
    default:
      if (!hasBody) throw new Refusal(422, `review event ${event} requires a body`);
      return "PENDING";
  }
}

function reviewOf(forge: Forge, c: ForgeContext): { issue: PullIssue; review: Review } {
  const issue = pullOf(repoOf(forge, c), c);
  const review = issue.pull.reviews.find((one) => one.id === numberParam(c, "id"));
  if (review === undefined || !maySee(review, c.get("account"))) throw notFound();
  return { issue, review };
}

function maySee(review: Review, viewer: Account | undefined): boolean {
  return (
    review.state !== "PENDING" || viewer?.isAdmin === true || viewer?.id === review.reviewer.id
  );
}

function deleteReview(issue: PullIssue, review: Review): void {
  if (review.state === "REQUEST_REVIEW")
    throw new Refusal(500, `can not delete ReviewID: ${review.id}`);
  issue.pull.reviews = issue.pull.reviews.filter((one) => one !== review);
  issue.rows = issue.rows.filter((row) => row.reviewId !== review.id);
}

async function dismiss(forge: Forge, c: ForgeContext, dismissed: boolean): Promise<Response> {
  const repo = repoOf(forge, c);
  const sender = signedIn(c);
  if (accessOf(repo, sender) !== "admin") throw new Refusal(403, "Must be repo admin");
  const { issue, review } = reviewOf(forge, c);
  const form = await readBody(c, Dismissal);
  if (review.state !== "APPROVED" && review.state !== "REQUEST_CHANGES")
    throw new Refusal(
      403,
      "not need to dismiss this review because it's type is not Approve or change request",
    );
  if (issue.isClosed)
    throw new Refusal(403, "can't dismiss a review associated to a closed or merged PR");
  review.dismissed = dismissed;
  if (dismissed && form.priors)
    for (const one of issue.pull.reviews)
      if (one.reviewer.id === review.reviewer.id && /^(APPROVED|REQUEST_CHANGES)$/.test(one.state))
        one.dismissed = true;
  if (dismissed)
    addRow(forge, issue, "dismiss_review", {
      author: sender,
      body: form.message,
      reviewId: review.id,
    });
  return c.json(reviewPayload(forge, issue, review, sender));
}
