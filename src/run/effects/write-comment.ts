import { isOurs, withHiddenLine } from "../../domain/hidden-line.ts";
import type { ToolAnswer } from "../../domain/tools.ts";
import type { EffectContext, LookContext } from "./context.ts";
import { findOrCreate, type Intent, type Made } from "./find-or-create.ts";

/** The tools whose effect is one comment, with the line the model reads. */
const TEXTS = {
  decline_merge: "Declined; a person decides now.",
  ask_human: "The question is asked. End your turn now; the answer will be brought to you.",
  reply: "Reply written.",
} as const;

type CommentTool = keyof typeof TEXTS;

/** Writes one comment where the conversation of this run takes place: the pull request, or before one the issue. */
export async function writeComment(
  context: EffectContext,
  comment: { readonly tool: CommentTool; readonly detail: string; readonly body: string },
): Promise<ToolAnswer> {
  const { tool, detail, body } = comment;
  return await findOrCreate(context, {
    tool,
    detail,
    find: async (intent) => await findComment(context, tool, intent),
    create: async (key) => {
      const { actor, item } = context;
      const text = withHiddenLine(body, key);
      const made = await actor.comment(item.repo, placeOf(context), text);
      return { ref: made.id, text: TEXTS[tool] };
    },
  });
}

/** The comment of this account that carries the key. */
export async function findComment(
  context: LookContext,
  tool: CommentTool,
  { key }: Intent,
): Promise<Made | null> {
  const written = await context.reader.comments(context.item.repo, placeOf(context));
  const found = written.find((text) => isOurs(text, key, context.actor.login));
  return found === undefined ? null : { ref: found.id, text: TEXTS[tool] };
}

function placeOf({ item, order, snapshot }: LookContext): number {
  const { pull } = snapshot;
  return order.skill === "implement" || pull === null ? item.number : pull.number;
}
