import { isOurs, withHiddenLine } from "../../domain/hidden-line.ts";
import type { Pull } from "../../domain/snapshot.ts";
import type { ToolAnswer, ToolInputs } from "../../domain/tools.ts";
import type { EffectContext } from "./context.ts";
import { findOrCreate, type Made } from "./find-or-create.ts";
import { pushWork } from "./push-work.ts";

/** Pushes new commits, answers the threads in one COMMENT review, and asks the reviewers again. */
export async function handIn(
  context: EffectContext,
  input: ToolInputs["hand_in"],
): Promise<ToolAnswer> {
  const { pull } = context.snapshot;
  if (pull === null) return { ok: false, text: "There is no pull request to hand in to." };
  const pushed = await pushWork(context);
  const nothingNew = "refused" in pushed || !pushed.changed;
  if ("refused" in pushed && !mayHandInWithout(pushed.refused, input)) {
    return { ok: false, text: pushed.refused };
  }
  if (nothingNew && context.pushed.sha === null && (input.answers ?? []).length === 0) {
    return {
      ok: false,
      text: "Nothing to hand in: there is no new commit and no answer to a remark.",
    };
  }
  return await findOrCreate(context, {
    tool: "hand_in",
    detail: `${pull.number}`,
    find: async () => null,
    create: async (key) => {
      const review = await answerThreads(context, { key, input, pull });
      await requestAgain(context, pull);
      return {
        ref: review?.ref ?? null,
        text: `Handed in${context.pushed.sha === null ? "" : ` at ${context.pushed.sha.slice(0, 10)}`}; the reviewers were asked again.`,
      };
    },
  });
}

/** Answers alone may be handed in; a branch that moved or a refused push may not be passed over. */
function mayHandInWithout(refused: string, input: ToolInputs["hand_in"]): boolean {
  return refused.startsWith("There is no commit") && (input.answers ?? []).length > 0;
}

async function answerThreads(
  context: EffectContext,
  answer: { key: string; input: ToolInputs["hand_in"]; pull: Pull },
): Promise<Made | null> {
  const { actor, item } = context;
  const { key, input, pull } = answer;
  const own = await actor.reviews(item.repo, pull.number);
  const found = own.find(
    (review) => review.state !== "PENDING" && isOurs(review, key, actor.login),
  );
  if (found !== undefined) return { ref: found.id, text: "answered" };
  for (const draft of own) {
    if (
      draft.state === "PENDING" &&
      draft.author.login.toLowerCase() === actor.login.toLowerCase()
    ) {
      await actor.deleteReview(item.repo, pull.number, draft.id);
    }
  }
  const threads = pull.reviews.flatMap((review) => review.comments);
  const comments = (input.answers ?? []).flatMap((given) => {
    const thread = threads.find(({ id }) => id === given.comment_id);
    return thread === undefined || thread.line === 0
      ? []
      : [{ path: thread.path, line: thread.line, body: given.body }];
  });
  const loose = (input.answers ?? []).filter((given) => {
    const thread = threads.find(({ id }) => id === given.comment_id);
    return thread === undefined || thread.line === 0;
  });
  const body = [
    input.summary,
    ...loose.map((given) => `Remark ${given.comment_id}: ${given.body}`),
  ];
  const made = await actor.submitReview(item.repo, pull.number, {
    event: "COMMENT",
    body: withHiddenLine(body.join("\n\n"), key),
    commitId: context.pushed.sha ?? pull.headSha,
    comments,
  });
  return { ref: made.id, text: "answered" };
}

async function requestAgain(context: EffectContext, pull: Pull): Promise<void> {
  const wanted = new Set(context.order.reviews);
  const logins = new Set(
    pull.reviews.filter(({ id }) => wanted.has(id)).map(({ author }) => author.login),
  );
  if (logins.size > 0) {
    await context.actor.requestReview(context.item.repo, pull.number, [...logins]);
  }
}
