import { isOurs, withHiddenLine } from "../../domain/hidden-line.ts";
import type { Pull } from "../../domain/snapshot.ts";
import type { ToolAnswer, ToolInputs } from "../../domain/tools.ts";
import type { EffectContext, LookContext } from "./context.ts";
import { findOrCreate, type Intent, type Made, type Refused } from "./find-or-create.ts";
import { pushWork } from "./push-work.ts";

/** Forgejo: modules/structs/pull.go, the column of the title. */
const TITLE_CHARACTERS_MAX = 255;
/** The forge tells whole seconds, and its clock is known only so well. */
const CLOCK_MS = 2000;

/** Pushes the branch and opens the pull request of the issue, or finds the one that is there. */
export async function openPullRequest(
  context: EffectContext,
  input: ToolInputs["open_pull_request"],
): Promise<ToolAnswer> {
  const pushed = await pushWork(context);
  if ("refused" in pushed) return { ok: false, text: pushed.refused };
  // HEAD may have been pushed by an attempt that died: it counts as this run's push.
  if (context.pushed.sha === null) {
    context.pushed.sha = pushed.sha;
    await context.runs.pushed(context.run, context.branch, pushed.sha);
  }
  const { branch } = context;
  const answer = await findOrCreate(context, {
    tool: "open_pull_request",
    detail: branch,
    find: async (intent) => await findPull(context, intent),
    create: async (key) => await create(context, input, key),
  });
  return answer.ok ? { ok: true, text: `${answer.text}${pushed.note}` } : answer;
}

async function create(
  context: EffectContext,
  input: ToolInputs["open_pull_request"],
  key: string,
): Promise<Made | Refused> {
  const { item, branch, policy, actor, reader } = context;
  const { number, kind } = await actor.openPull(item.repo, {
    head: branch,
    base: policy.repository.base,
    title: input.title.slice(0, TITLE_CHARACTERS_MAX),
    body: withHiddenLine(`${input.body.trimEnd()}\n\nCloses #${item.number}`, key),
  });
  if (kind === "created") return await written(context, number, "is open");
  const existing = await reader.pull(item.repo, number);
  if (isByActor(existing, context)) return await written(context, number, "was there and is used");
  return {
    refused: `${existing.author.login} has opened the pull request #${number} of ${branch} already.`,
  };
}

/**
 * An open one of this account, or one that this very order made: if a person closed that, it is done
 * all the same, also when its hidden line was edited away.
 */
export async function findPull(context: LookContext, { key, since }: Intent): Promise<Made | null> {
  const { item, branch, reader, actor } = context;
  const pulls = await reader.pullsByBranch(item.repo, branch);
  const from = since + reader.clockOffset() - CLOCK_MS;
  const own = pulls.filter((pull) => isByActor(pull, context));
  const found =
    own.find((pull) => isOurs(pull, key, actor.login)) ??
    own.find((pull) => pull.state === "open" || pull.createdAt >= from);
  return found === undefined ? null : await written(context, found.number, "is there");
}

function isByActor(pull: Pull, { actor }: LookContext): boolean {
  return pull.author.login.toLowerCase() === actor.login.toLowerCase();
}

async function written(context: LookContext, pull: number, how: string): Promise<Made> {
  const { item } = context;
  await context.pulls.write(item.repo, pull, item.number);
  return { ref: pull, text: `Pull request #${pull} ${how} for issue #${item.number}.` };
}
