import { ledBy } from "../../domain/neutral-text.ts";
import { SKILL_TOOLS } from "../../domain/skill.ts";
import type { ToolAnswer, ToolCall } from "../../domain/tools.ts";
import { ForgeFailure } from "../../ports/forge.ts";
import { GitFailure } from "../../ports/git.ts";
import { checkCall, createAllowance } from "./check-call.ts";
import type { EffectContext } from "./context.ts";
import { handIn } from "./hand-in.ts";
import { openPullRequest } from "./open-pull-request.ts";
import { requestMerge } from "./request-merge.ts";
import { submitReview } from "./submit-review.ts";
import { writeComment } from "./write-comment.ts";

/** Comments that one run may write of its own accord. */
const REPLIES_MAX = 5;

/** The tools of one run, carried out. */
export interface Effects {
  call(call: ToolCall): Promise<ToolAnswer>;
  /** Resolves when no call is being carried out: a CLI may die while one is. */
  idle(): Promise<void>;
}

/**
 * Carries out the tool calls of one run, one after another. Never throws for a failure of the
 * forge or of git: the model reads one line that says why, and the session is not harmed.
 */
export function createEffects(context: EffectContext): Effects {
  let replies = 0;
  const allowance = createAllowance();
  let queue: Promise<unknown> = Promise.resolve();

  return {
    call: async (call) => {
      const turn = queue.then(async () => await answer(call));
      queue = turn;
      return await turn;
    },
    idle: async () => {
      await queue;
    },
  };

  async function answer(call: ToolCall): Promise<ToolAnswer> {
    if (!SKILL_TOOLS[context.order.skill].includes(call.tool)) return deny(context, call);
    if (context.signal.aborted) return { ok: false, text: "This run has been stopped." };
    const checked = checkCall(context, call, allowance);
    if ("refused" in checked) return { ok: false, text: checked.refused };
    try {
      return await carryOut(checked.call);
    } catch (error) {
      if (error instanceof ForgeFailure || error instanceof GitFailure) {
        context.log.warn("effect failed", { effect: call.tool, reason: error.message });
        return { ok: false, text: `The forge could not do it now (${error.kind}); try once more.` };
      }
      context.log.error("effect broke", { effect: call.tool, reason: String(error) });
      return { ok: false, text: "The service failed while doing it; end your turn." };
    }
  }

  async function carryOut(call: ToolCall): Promise<ToolAnswer> {
    switch (call.tool) {
      case "open_pull_request":
        return await openPullRequest(context, call.input);
      case "hand_in":
        return await handIn(context, call.input);
      case "submit_review":
        return await submitReview(context, call.input);
      case "request_merge":
        return await requestMerge(context);
      case "decline_merge":
        return await writeComment(context, {
          tool: "decline_merge",
          detail: context.order.headSha ?? "",
          body: ledBy("I do not merge this:", call.input.reason),
        });
      case "ask_human":
        return await writeComment(context, {
          tool: "ask_human",
          detail: "1",
          body: questionFor(context, call.input.question),
        });
      case "reply": {
        if (replies >= REPLIES_MAX) return { ok: false, text: "No more replies in this run." };
        replies += 1;
        return await writeComment(context, {
          tool: "reply",
          detail: `${replies}`,
          body: call.input.body,
        });
      }
    }
  }
}

function deny({ item, run, agent, order, audit }: EffectContext, { tool }: ToolCall): ToolAnswer {
  audit.append("tool_denied", { ...item, run, agent: agent.name, skill: order.skill, tool });
  return { ok: false, text: `${tool} does not belong to ${order.skill}.` };
}

function questionFor(context: EffectContext, question: string): string {
  const { asked } = context.order;
  return asked === null ? question : ledBy(`@${asked.person.login}`, question);
}
