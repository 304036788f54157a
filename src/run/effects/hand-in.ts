import { withHiddenLine } from "../../domain/hidden-line.ts";
import { ledBy } from "../../domain/neutral-text.ts";
import type { Pull, Review } from "../../domain/snapshot.ts";
import type { ToolAnswer, ToolInputs } from "../../domain/tools.ts";
import type { EffectContext, LookContext } from "./context.ts";
import { findOrCreate, type Intent, type Made } from "./find-or-create.ts";
import { dropDrafts, findOwnReview } from "./find-own-review.ts";
import { pushWork } from "./push-work.ts";

/** Pushes new commits, answers the threads in one COMMENT review, and asks the reviewers again. */
export async function handIn(
  context: EffectContext,
  input: ToolInputs["hand_in"],
): Promise<ToolAnswer> {
  const { pull } = context.snapshot;
  if (pull === null) return { ok: false, text: "There is no pull request to hand in to." };
  const pushed = await pushWork(context);
  const hasAnswers = (input.answers ?? []).length > 0;
  // Answers alone may be handed in; a branch that moved or a refused push may not be passed over.
  if ("refused" in pushed && !(pushed.nothing && hasAnswers)) {
    return { ok: false, text: pushed.refused };
  }
  const nothingNew = "refused" in pushed || !pushed.changed;
  if (nothingNew && context.pushed.sha === null && !hasAnswers) {
    return {
      ok: false,
      text: "Nothing to hand in: there is no new commit and no answer to a remark.",
    };
  }
  const answer = await findOrCreate(context, {
    tool: "hand_in",
    detail: `${pull.number}`,
    find: async (intent) => await findHandIn(context, intent),
    create: async (key) => {
      const made =
        (await findOwnReview(context, pull.number, key))?.id ??
        (await answerThreads(context, { key, input, pull }));
      const logins = await notAskedYet(context, pull.number, made);
      if (logins.length > 0) {
        await context.actor.requestReview(context.item.repo, pull.number, logins);
      }
      return handedIn(made, context.pushed.sha);
    },
  });
  const note = "note" in pushed ? pushed.note : "";
  return answer.ok ? { ok: true, text: `${answer.text}${note}` } : answer;
}

/** It is done when the answers are there and nobody is left to be asked again. */
export async function findHandIn(context: LookContext, { key }: Intent): Promise<Made | null> {
  const { pull } = context.snapshot;
  const review = pull === null ? null : await findOwnReview(context, pull.number, key);
  if (pull === null || review === null) return null;
  const left = await notAskedYet(context, pull.number, review.id);
  return left.length > 0 ? null : handedIn(review.id, review.commitId);
}

function handedIn(review: number, sha: string | null): Made {
  const at = sha === null ? "" : ` at ${sha.slice(0, 10)}`;
  return { ref: review, text: `Handed in${at}; the reviewers were asked again.` };
}

async function answerThreads(
  context: EffectContext,
  answer: { key: string; input: ToolInputs["hand_in"]; pull: Pull },
): Promise<number> {
  const { actor, item } = context;
  const { key, input, pull } = answer;
  await dropDrafts(context, pull.number);
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
    ...loose.map((given) => ledBy(`Remark ${given.comment_id}:`, given.body)),
  ];
  const made = await actor.submitReview(item.repo, pull.number, {
    event: "COMMENT",
    body: withHiddenLine(body.join("\n\n"), key),
    commitId: context.pushed.sha ?? pull.headSha,
    comments,
  });
  return made.id;
}

/**
 * The reviewers whose points were answered and who do not know yet: neither is a request of theirs
 * open, nor have they reviewed after `answered` (an id; the forge counts them up).
 */
async function notAskedYet(
  { order, snapshot, reader, item }: LookContext,
  number: number,
  answered: number,
): Promise<readonly string[]> {
  const wanted = new Set(order.reviews);
  const before = snapshot.pull?.reviews ?? [];
  const logins = new Set(
    before.filter(({ id }) => wanted.has(id)).map(({ author }) => author.login),
  );
  if (logins.size === 0) return [];
  const { reviews } = await reader.pull(item.repo, number);
  const knows = ({ id, state }: Review): boolean => state === "REQUEST_REVIEW" || id > answered;
  return [...logins].filter(
    (login) => !reviews.some((review) => review.author.login === login && knows(review)),
  );
}
