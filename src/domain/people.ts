import type { Policy, PolicyAgent } from "./policy.ts";
import type { Skill } from "./skill.ts";
import type { Account, Snapshot } from "./snapshot.ts";

/** The agent whose account this is, or undefined for a person. Logins are unique on a forge, whatever their case. */
export function agentOf(account: Account, policy: Policy): PolicyAgent | undefined {
  const login = account.login.toLowerCase();
  return policy.agents.find((agent) => agent.login.toLowerCase() === login);
}

/** Write access by the forge's own answer, compared by numeric id: a name can be taken over, an id cannot. */
export function isWriter(account: Account, snapshot: Snapshot): boolean {
  return snapshot.writers.some((writer) => writer.id === account.id);
}

/**
 * Whether this account may make an agent work: write access (or being named in the configuration),
 * and not one of our agents.
 */
export function isPermitted(account: Account, snapshot: Snapshot, policy: Policy): boolean {
  if (agentOf(account, policy) !== undefined) return false;
  const { mayTrigger } = policy.repository;
  if (mayTrigger === "write") return isWriter(account, snapshot);
  const login = account.login.toLowerCase();
  return mayTrigger.some((named) => named.toLowerCase() === login);
}

export function agentsWith(skill: Skill, policy: Policy): readonly PolicyAgent[] {
  return policy.agents.filter((agent) => agent.skills.includes(skill));
}

export function isAssigned(agent: PolicyAgent, snapshot: Snapshot): boolean {
  const login = agent.login.toLowerCase();
  return snapshot.assignees.some((assignee) => assignee.login.toLowerCase() === login);
}

/** Whether the work is still the agent's: assigned, or the trigger label still set. */
export function stillHasWork(agent: PolicyAgent, snapshot: Snapshot, policy: Policy): boolean {
  if (policy.repository.trigger.assignee && isAssigned(agent, snapshot)) return true;
  const { label } = policy.repository.trigger;
  return (
    label !== null &&
    snapshot.labels.includes(label) &&
    agentsWith("implement", policy)[0]?.name === agent.name
  );
}

/** Whether a text calls this agent by `@login`. */
export function mentions(body: string, login: string): boolean {
  const escaped = login.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(^|[^\\w.@/-])@${escaped}(?![\\w-])`, "iu").test(body);
}
