import type { Policy, PolicyAgent } from "./policy.ts";
import type { Skill } from "./skill.ts";
import type { Account, Snapshot } from "./snapshot.ts";

/**
 * The agent whose account this is, or undefined for everybody else. Logins are unique on a forge,
 * whatever their case; but a login can pass to another account, so the account must also be the one
 * that the forge lists under this login among those with write access, which every agent needs.
 */
export function agentOf(
  account: Account,
  { snapshot, policy }: { snapshot: Pick<Snapshot, "writers">; policy: Pick<Policy, "agents"> },
): PolicyAgent | undefined {
  const login = account.login.toLowerCase();
  const agent = policy.agents.find((one) => one.login.toLowerCase() === login);
  if (agent === undefined) return undefined;
  return snapshot.writers.some(({ id }) => id === account.id) ? agent : undefined;
}

/** Write access by the forge's own answer, compared by numeric id: a name can be taken over, an id cannot. */
export function isWriter(account: Account, snapshot: Snapshot): boolean {
  return snapshot.writers.some((writer) => writer.id === account.id);
}

/**
 * Whether this account may make an agent work: write access (or being named in the configuration),
 * and not one of our agents. What an account is called gives it nothing by itself: `[bot]` and the like
 * are letters.
 */
export function isPermitted(account: Account, snapshot: Snapshot, policy: Policy): boolean {
  if (agentOf(account, { snapshot, policy }) !== undefined) return false;
  const { mayTrigger } = policy.repository;
  if (mayTrigger === "write") return isWriter(account, snapshot);
  // An account that is gone has no id of its own.
  if (mayTrigger === "anyone") return account.id > 0;
  return mayTrigger.some((named) => isNamed(account, named, snapshot));
}

/** Whether this account's words are its project's own: it has write access or is named; being anybody is not enough. */
export function isInsider(account: Account, snapshot: Snapshot, policy: Policy): boolean {
  if (isWriter(account, snapshot)) return true;
  return policy.repository.mayTrigger !== "anyone" && isPermitted(account, snapshot, policy);
}

/** The login of an entry of `mayTrigger` in lower case, and the account's number where it is written: `login#id`. */
export function namedLogin(entry: string): { readonly login: string; readonly id: number | null } {
  const [login = "", id] = entry.toLowerCase().split("#");
  return { login, id: id === undefined ? null : Number(id) };
}

/** By the number that is written, else by the one under which this login was first seen. */
function isNamed(account: Account, entry: string, { named }: Snapshot): boolean {
  const { login, id } = namedLogin(entry);
  if (account.login.toLowerCase() !== login) return false;
  const wanted = id ?? named?.[login];
  return wanted === undefined || wanted === account.id;
}

/** The agents that have a skill, in the order of the configuration. */
export function agentsWith(skill: Skill, policy: Policy): readonly PolicyAgent[] {
  return policy.agents.filter((agent) => agent.skills.includes(skill));
}

/** Whether the issue is assigned to this agent now; logins are compared without case. */
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

/** Whether a text calls this agent by `@login`; `word`: and says this one (of letters) to it right after. */
export function mentions(body: string, login: string, word: string | null = null): boolean {
  const escaped = login.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const after = word === null ? "" : `[ \\t]+${word}\\b`;
  return new RegExp(`(^|[^\\w.@/-])@${escaped}(?![\\w-])${after}`, "iu").test(body);
}
