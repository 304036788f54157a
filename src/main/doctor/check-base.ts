import type { RepositoryConfig } from "../../config/config.ts";
import type { BranchFacts } from "../../forge/inspect-forge.ts";
import type { KnownAgent } from "./check-agents.ts";
import { ask, type Finding } from "./finding.ts";
import { tried } from "./tried.ts";

/**
 * Whether the base branch exists and is protected, which every reader is told. The service pushes
 * nothing there, but whoever had an agent's token could.
 */
export async function checkBase(
  { pattern: repo, policy }: RepositoryConfig,
  seeing: readonly KnownAgent[],
): Promise<Finding> {
  const { base, autonomy } = policy;
  const question = ask("repository.base", "is the base branch there, and protected?", { repo });
  const answers = await Promise.all(
    seeing.map(async ({ agent, inspector }) => ({
      agent,
      answer: await tried(async () => await inspector.branch(repo, base)),
    })),
  );
  const facts: { readonly agent: KnownAgent["agent"]; readonly branch: BranchFacts }[] = [];
  for (const { agent, answer } of answers) {
    if (answer.ok) facts.push({ agent, branch: answer.value });
    else if (answer.failure.kind === "not_found") {
      return question.problem(
        `${repo} has no branch ${base}`,
        `write the name of its main branch into repositories[].base, or push ${base}`,
      );
    } else return question.unchecked(answer.words);
  }
  const merger = facts.find(({ agent }) => agent.skills.includes("merge"));
  if (autonomy === "merge" && merger?.branch.mayMerge === false) {
    return question.problem(
      `the protection of ${base} does not let ${merger.agent.login} merge into it`,
      `put ${merger.agent.login} on the list of those who may merge, or write autonomy: review`,
    );
  }
  const pushers = facts.filter(({ branch }) => branch.mayPush === true);
  if (!facts.some(({ branch }) => branch.isProtected)) {
    return question.warning(
      `${base} is not protected: whoever had an agent's token could push to it`,
      `protect ${base} so that nobody pushes to it directly`,
    );
  }
  if (pushers.length > 0) {
    const logins = pushers.map(({ agent }) => agent.login).join(", ");
    return question.warning(
      `${base} is protected, but ${logins} may push to it directly`,
      `take ${logins} off the list of those who may push to ${base}`,
    );
  }
  return question.ok(`${base} is protected, and no agent may push to it`);
}
