import type { EffectContext } from "./context.ts";

export type Pushed =
  | { readonly sha: string; readonly changed: boolean }
  | { readonly refused: string };

/**
 * Takes HEAD of the clone and pushes it to the run's branch, with a lease on the remote sha the run
 * was prepared from; records the sha. A refusal says what the agent can do about it.
 */
export async function pushWork(context: EffectContext): Promise<Pushed> {
  const { item, agent, branch, policy, run, pushed } = context;
  const answer = await context.git.push({
    item,
    agent: agent.name,
    branch,
    base: policy.repository.base,
    remoteSha: pushed.remote,
    run,
  });
  switch (answer.kind) {
    case "pushed":
      pushed.sha = answer.sha;
      pushed.remote = answer.sha;
      await context.runs.pushed(run, branch, answer.sha);
      return { sha: answer.sha, changed: true };
    case "up_to_date":
      return { sha: answer.sha, changed: false };
    case "no_commits":
      return { refused: "There is no commit to push: commit your change first, then call again." };
    case "dirty":
      return {
        refused: `These files are changed but not committed: ${answer.files.slice(0, 5).join(", ")}. Commit them, then call again.`,
      };
    case "moved":
      return {
        refused: `${answer.by} pushed to ${branch} meanwhile. Rebase onto origin/${branch} (${answer.sha}), run the tests, then call again.`,
      };
    case "refused":
      return { refused: `The forge refused the push: ${answer.message}` };
  }
}
