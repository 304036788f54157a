import { isOurs, withHiddenLine } from "../../domain/hidden-line.ts";
import { agentOf } from "../../domain/people.ts";
import type { Pull } from "../../domain/snapshot.ts";
import type { ToolAnswer, ToolInputs } from "../../domain/tools.ts";
import type { ReviewSubmission } from "../../ports/forge.ts";
import type { EffectContext } from "./context.ts";
import { findOrCreate, type Made, type Refused } from "./find-or-create.ts";

const EVENTS = {
  approve: "APPROVED",
  request_changes: "REQUEST_CHANGES",
  comment: "COMMENT",
} as const satisfies Record<ToolInputs["submit_review"]["verdict"], ReviewSubmission["event"]>;

/** Submits the run's one review, bound to exactly the sha that was checked out for it. */
export async function submitReview(
  context: EffectContext,
  input: ToolInputs["submit_review"],
): Promise<ToolAnswer> {
  const { pull } = context.snapshot;
  const { headSha } = context.order;
  if (pull === null || headSha === null) {
    return { ok: false, text: "There is no pull request to review." };
  }
  const ofAgent = agentOf(pull.author, context.policy) !== undefined;
  if (ofAgent && input.verdict === "comment") {
    return { ok: false, text: "This pull request needs a verdict: approve or request_changes." };
  }
  return await findOrCreate(context, {
    tool: "submit_review",
    detail: headSha,
    find: async (key) => await findReview(context, pull, key),
    create: async (key) => await create(context, { input, pull, key, headSha, ofAgent }),
  });
}

async function findReview(context: EffectContext, pull: Pull, key: string): Promise<Made | null> {
  const { actor, item } = context;
  const own = await actor.reviews(item.repo, pull.number);
  const found = own.find(
    (review) => review.state !== "PENDING" && isOurs(review, key, actor.login),
  );
  if (found !== undefined) return { ref: found.id, text: "The review had been submitted." };
  // A draft of an attempt that died would swallow the comments of this one.
  for (const draft of own) {
    if (
      draft.state === "PENDING" &&
      draft.author.login.toLowerCase() === actor.login.toLowerCase()
    ) {
      await actor.deleteReview(item.repo, pull.number, draft.id);
    }
  }
  return null;
}

async function create(
  context: EffectContext,
  review: {
    input: ToolInputs["submit_review"];
    pull: Pull;
    key: string;
    headSha: string;
    ofAgent: boolean;
  },
): Promise<Made | Refused> {
  const { input, pull, key, headSha, ofAgent } = review;
  const now = await context.reader.pull(context.item.repo, pull.number);
  if (now.headSha !== headSha) {
    return { refused: "The pull request has a new head meanwhile; this review is not submitted." };
  }
  const remarks = input.comments ?? [];
  const placed = remarks.filter(({ path }) => now.changedPaths.includes(path));
  const loose = remarks.filter(({ path }) => !now.changedPaths.includes(path));
  const body = [
    input.body,
    ...loose.map(({ path, line, body: text }) => `${path}:${line}: ${text}`),
  ];
  const made = await context.actor.submitReview(context.item.repo, pull.number, {
    event: ofAgent ? EVENTS[input.verdict] : "COMMENT",
    body: withHiddenLine(body.join("\n\n"), key),
    commitId: headSha,
    comments: placed,
  });
  return { ref: made.id, text: `Review submitted: ${input.verdict} of ${headSha.slice(0, 10)}.` };
}
