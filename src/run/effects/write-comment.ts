import { isOurs, withHiddenLine } from "../../domain/hidden-line.ts";
import type { ToolAnswer, ToolName } from "../../domain/tools.ts";
import type { EffectContext } from "./context.ts";
import { findOrCreate } from "./find-or-create.ts";

/** Writes one comment where the conversation of this run takes place: the pull request, or before one the issue. */
export async function writeComment(
  context: EffectContext,
  comment: {
    readonly tool: ToolName;
    readonly detail: string;
    readonly body: string;
    readonly text: string;
  },
): Promise<ToolAnswer> {
  const { item, order, snapshot, actor, reader } = context;
  const { pull } = snapshot;
  const number = order.skill === "implement" || pull === null ? item.number : pull.number;
  return await findOrCreate(context, {
    tool: comment.tool,
    detail: comment.detail,
    find: async (key) => {
      const found = (await reader.comments(item.repo, number)).find((text) =>
        isOurs(text, key, actor.login),
      );
      return found === undefined ? null : { ref: found.id, text: comment.text };
    },
    create: async (key) => {
      const made = await actor.comment(item.repo, number, withHiddenLine(comment.body, key));
      return { ref: made.id, text: comment.text };
    },
  });
}
