import type { Policy } from "./policy.ts";

/** What must be known of a pull request to find its work item. */
export interface PullFacts {
  readonly number: number;
  readonly headBranch: string;
  readonly sameRepo: boolean;
  readonly author: { readonly login: string };
}

/**
 * The number of the work item a pull request belongs to: issue n if its head lies in the same
 * repository, is named `<agent>/<n>`, and its author is that agent or the branch was pushed by this
 * service; else it is an item of its own. Closing keywords do not matter: anybody can write them.
 */
export function itemOfPull(
  pull: PullFacts,
  policy: Pick<Policy, "agents">,
  pushedByUs: (branch: string) => boolean,
): number {
  const named = parseAgentBranch(pull.headBranch);
  if (named === null || !pull.sameRepo) return pull.number;
  const agent = policy.agents.find(({ name }) => name === named.agent);
  if (agent === undefined) return pull.number;
  const byAgent = agent.login.toLowerCase() === pull.author.login.toLowerCase();
  return byAgent || pushedByUs(pull.headBranch) ? named.number : pull.number;
}

/** The branch an agent works on for an issue. */
export function agentBranch(agent: string, number: number): string {
  return `${agent}/${number}`;
}

/** Reads `<agent>/<n>`; null for every other name. */
export function parseAgentBranch(branch: string): { agent: string; number: number } | null {
  const match = /^([a-z0-9][a-z0-9-]{0,31})\/([1-9][0-9]{0,9})$/u.exec(branch);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return { agent: match[1], number: Number(match[2]) };
}
