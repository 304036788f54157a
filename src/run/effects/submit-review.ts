import { withHiddenLine } from "../../domain/hidden-line.ts";
import { ledBy, neutralLine } from "../../domain/neutral-text.ts";
import { agentOf } from "../../domain/people.ts";
import type { Pull } from "../../domain/snapshot.ts";
import type { ToolAnswer, ToolInputs } from "../../domain/tools.ts";
import type { ReviewSubmission } from "../../ports/forge.ts";
import type { EffectContext, LookContext } from "./context.ts";
import { findOrCreate, type Intent, type Made, type Refused } from "./find-or-create.ts";
import { dropDrafts, findOwnReview } from "./find-own-review.ts";

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
  const ofAgent = agentOf(pull.author, context) !== undefined;
  if (ofAgent && input.verdict === "comment") {
    return { ok: false, text: "This pull request needs a verdict: approve or request_changes." };
  }
  return await findOrCreate(context, {
    tool: "submit_review",
    detail: headSha,
    find: async (intent) => await findReview(context, intent),
    create: async (key) => {
      // A draft of an attempt that died would swallow the comments of this one.
      await dropDrafts(context, pull.number);
      return await create(context, { input, pull, key, headSha, ofAgent });
    },
  });
}

/** The review of this account that carries the key. */
export async function findReview(context: LookContext, intent: Intent): Promise<Made | null> {
  const { pull } = context.snapshot;
  const found = pull === null ? null : await findOwnReview(context, pull.number, intent.key);
  if (found === null) return null;
  const how = { APPROVED: "approve", REQUEST_CHANGES: "request_changes" };
  const verdict = found.state in how ? how[found.state as keyof typeof how] : "comment";
  return { ref: found.id, text: submitted(verdict, found.commitId) };
}

function submitted(verdict: string, sha: string): string {
  return `Review submitted: ${verdict} of ${sha.slice(0, 10)}.`;
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
    ...loose.map(({ path, line, body: text }) => ledBy(`${neutralLine(path)}:${line}:`, text)),
  ];
  const made = await context.actor.submitReview(context.item.repo, pull.number, {
    event: ofAgent ? EVENTS[input.verdict] : "COMMENT",
    body: withHiddenLine(body.join("\n\n"), key),
    commitId: headSha,
    comments: placed,
  });
  return { ref: made.id, text: submitted(ofAgent ? input.verdict : "comment", headSha) };
}
