import { isOurs, withHiddenLine } from "../../domain/hidden-line.ts";
import type { ToolAnswer, ToolInputs } from "../../domain/tools.ts";
import type { EffectContext } from "./context.ts";
import { findOrCreate, type Made } from "./find-or-create.ts";
import { pushWork } from "./push-work.ts";

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
  const { item, branch, policy, actor } = context;
  return await findOrCreate(context, {
    tool: "open_pull_request",
    detail: branch,
    find: async (key) => await findPull(context, key),
    create: async (key) => {
      const closing = `Closes #${item.number}`;
      const answer = await actor.openPull(item.repo, {
        head: branch,
        base: policy.repository.base,
        title: input.title,
        body: withHiddenLine(`${input.body.trimEnd()}\n\n${closing}`, key),
      });
      return await written(context, answer.number, "opened");
    },
  });
}

/** An open one of this account, or one that this very order made: if a person closed that, it is done all the same. */
async function findPull(context: EffectContext, key: string): Promise<Made | null> {
  const { item, branch, agent } = context;
  const pulls = await context.reader.pullsByBranch(item.repo, branch);
  const found = pulls.find(
    (pull) =>
      isOurs(pull, key, agent.login) ||
      (pull.state === "open" && pull.author.login.toLowerCase() === agent.login.toLowerCase()),
  );
  return found === undefined ? null : await written(context, found.number, "found");
}

async function written(context: EffectContext, pull: number, how: string): Promise<Made> {
  const { item } = context;
  await context.pulls.write(item.repo, pull, item.number);
  return { ref: pull, text: `Pull request #${pull} ${how} for issue #${item.number}.` };
}
