import { setTimeout as wait } from "node:timers/promises";
import type { Change } from "../../domain/change.ts";
import { mergeGate } from "../../domain/merge-gate.ts";
import type { ToolAnswer } from "../../domain/tools.ts";
import type { MergeAnswer } from "../../ports/forge.ts";
import type { EffectContext, LookContext } from "./context.ts";
import { findOrCreate, type Made, type Refused } from "./find-or-create.ts";

/** The forge computes mergeability after each push and answers "try again later" until it has. */
const TRY_LATER_FIRST_MS = 2000;
const TRY_LATER_ALL_MS = 120_000;

/** Merges the pull request if the gate, evaluated on a fresh snapshot just before, is open for the head this run was given. */
export async function requestMerge(context: EffectContext): Promise<ToolAnswer> {
  const { headSha } = context.order;
  if (headSha === null) return { ok: false, text: "There is no pull request to merge." };
  return await findOrCreate(context, {
    tool: "request_merge",
    detail: headSha,
    find: async ({ isRepeated }) => {
      const found = await findMerge(context);
      // An attempt that died may have left a merge that the forge makes later by itself.
      if (found === null && isRepeated) await cancelScheduled(context);
      return found;
    },
    create: async () =>
      await context.oneMerge(
        context.policy.repository.base,
        async () => await merge(context, headSha),
      ),
  });
}

/** A merged pull request counts, whoever merged it. */
export async function findMerge(context: LookContext): Promise<Made | null> {
  const { pull } = await context.look();
  return pull?.merged === true ? merged(context, pull.number) : null;
}

async function cancelScheduled({ actor, item, snapshot }: LookContext): Promise<void> {
  if (snapshot.pull !== null) await actor.cancelScheduledMerge(item.repo, snapshot.pull.number);
}

async function merge(context: EffectContext, headSha: string): Promise<Made | Refused> {
  const { item, policy, actor } = context;
  for (let waited = 0, delay = TRY_LATER_FIRST_MS; ; waited += delay, delay *= 2) {
    const snapshot = await context.look();
    const { pull } = snapshot;
    if (pull === null) return { refused: "The pull request is gone." };
    if (pull.merged) return merged(context, pull.number);
    if (pull.headSha !== headSha) return { refused: "The pull request has a new head meanwhile." };
    const change = await changeOf(context, pull.baseSha, headSha);
    const gate = mergeGate(pull, snapshot, { policy, tainted: context.tainted, change });
    context.audit.append("gate", {
      ...item,
      ...{ run: context.run, agent: context.agent.name, pull: pull.number, head: headSha },
      ...gate,
    });
    if (!gate.open) return { refused: `The merge gate is closed: ${gate.reason}.` };
    const answer = await actor.merge(item.repo, pull.number, {
      style: policy.repository.mergeStyle,
      headSha,
    });
    if (answer.kind === "merged") return merged(context, pull.number);
    // Whatever the words of the answer: if the forge shows it merged, it is.
    if ((await context.reader.pull(item.repo, pull.number)).merged) {
      return merged(context, pull.number);
    }
    if (answer.kind !== "try_later" || waited + delay > TRY_LATER_ALL_MS) {
      return await refused(context, answer, pull.number);
    }
    await wait(delay, undefined, { signal: context.signal });
  }
}

/** Counted anew here: the gate must know it. */
async function changeOf(context: EffectContext, base: string, head: string): Promise<Change> {
  return await context.git.change(context.item.repo, base, head);
}

async function refused(
  context: EffectContext,
  answer: Exclude<MergeAnswer, { kind: "merged" }>,
  pull: number,
): Promise<Refused> {
  switch (answer.kind) {
    case "scheduled":
      await context.actor.cancelScheduledMerge(context.item.repo, pull);
      return { refused: "The forge wanted to merge later by itself; that was cancelled." };
    case "head_moved":
      return { refused: "The pull request has a new head meanwhile." };
    case "conflict":
      return { refused: `The branch conflicts with its base: ${answer.message}` };
    case "behind":
      return { refused: `The branch is behind its base: ${answer.message}` };
    case "try_later":
    case "refused":
      return { refused: `The forge refused the merge: ${answer.message}` };
  }
}

function merged(context: LookContext, pull: number): Made {
  context.log.info("merged", { pull, sha: context.order.headSha ?? "" });
  return { ref: pull, text: `Pull request #${pull} is merged.` };
}
