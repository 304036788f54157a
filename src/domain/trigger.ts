import { agentsWith, isAssigned, isPermitted, mentions } from "./people.ts";
import type { Policy, PolicyAgent } from "./policy.ts";
import type { Account, Act, Snapshot } from "./snapshot.ts";

/** The newest act by which somebody gave the item to an agent. */
export interface Trigger {
  readonly id: string;
  readonly agent: PolicyAgent;
  readonly person: Account;
  readonly at: number;
  /** The comment that asked, or null when it was an act on the issue. */
  readonly comment: number | null;
  readonly words: string;
}

/** An agent that was given the issue, and since when. */
export interface Assignment {
  readonly agent: PolicyAgent;
  readonly at: number;
}

/**
 * Agents that have the issue now, the oldest assignment first. An assignee without a row in the
 * timeline was set by the author at creation.
 */
export function assignments(snapshot: Snapshot, policy: Policy): readonly Assignment[] {
  const given: Assignment[] = [];
  if (policy.repository.trigger.assignee) {
    for (const agent of policy.agents) {
      if (!isAssigned(agent, snapshot)) continue;
      const act = newest(snapshot.acts, (row) => row.kind === "assigned" && isSubject(row, agent));
      given.push({ agent, at: act?.at ?? snapshot.createdAt });
    }
  }
  const labelled = labelledAgent(snapshot, policy);
  if (labelled !== null && !given.some(({ agent }) => agent.name === labelled.agent.name)) {
    given.push(labelled);
  }
  return given.sort((a, b) => a.at - b.at);
}

/**
 * The newest act that gave the issue to `agent`, preferring those of permitted people: an act of
 * somebody else does not hide an earlier permitted one. Null when nobody gave it.
 */
export function triggerFor(agent: PolicyAgent, snapshot: Snapshot, policy: Policy): Trigger | null {
  const all = candidates(agent, snapshot, policy);
  const permitted = all.filter(({ person }) => isPermitted(person, snapshot, policy));
  const pool = permitted.length > 0 ? permitted : all;
  return pool.reduce<Trigger | null>(
    (best, next) => (best === null || next.at >= best.at ? next : best),
    null,
  );
}

function candidates(agent: PolicyAgent, snapshot: Snapshot, policy: Policy): readonly Trigger[] {
  const found: Trigger[] = [];
  const add = (trigger: Omit<Trigger, "agent">): void => {
    found.push({ ...trigger, agent });
  };
  const ownActs = snapshot.acts.filter((act) => act.number === snapshot.item.number);
  if (policy.repository.trigger.assignee && isAssigned(agent, snapshot)) {
    const rows = ownActs.filter((act) => act.kind === "assigned" && isSubject(act, agent));
    for (const act of rows) add(fromAct(act, `${act.actor.login} assigned ${agent.name}`));
    if (rows.length === 0) {
      add({
        id: "created",
        person: snapshot.author,
        at: snapshot.createdAt,
        comment: null,
        words: `${snapshot.author.login} created the issue for ${agent.name}`,
      });
    }
  }
  const { label } = policy.repository.trigger;
  if (label !== null && labelledAgent(snapshot, policy)?.agent.name === agent.name) {
    for (const act of ownActs) {
      if (act.kind === "labeled" && act.label === label) {
        add(fromAct(act, `${act.actor.login} set the label ${label}`));
      }
    }
  }
  // Being assigned is what counts; what started it may have been taken back meanwhile.
  const isGiven = found.length > 0;
  if (!isGiven) return found;
  for (const act of ownActs) {
    if (act.kind === "reopened") add(fromAct(act, `${act.actor.login} reopened the issue`));
  }
  for (const comment of snapshot.comments) {
    if (mentions(comment.body, agent.login, "continue")) {
      add({
        id: `comment:${comment.id}`,
        person: comment.author,
        at: comment.createdAt,
        comment: comment.id,
        words: `${comment.author.login} asked ${agent.name} to continue`,
      });
    }
  }
  return found.filter((trigger) => !isTakenBack(trigger, agent, ownActs));
}

/** Closing the issue or unassigning the agent takes back every trigger before it: only a newer one counts. */
function isTakenBack(
  trigger: Omit<Trigger, "agent">,
  agent: PolicyAgent,
  acts: readonly Act[],
): boolean {
  const taken = newest(
    acts,
    (act) => act.kind === "closed" || (act.kind === "unassigned" && isSubject(act, agent)),
  );
  if (taken === undefined) return false;
  const own = acts.find((act) => trigger.id === `act:${act.id}`);
  return own === undefined ? trigger.at < taken.at || trigger.id === "created" : own.id < taken.id;
}

function labelledAgent(snapshot: Snapshot, policy: Policy): Assignment | null {
  const { label } = policy.repository.trigger;
  const agent = agentsWith("implement", policy)[0];
  if (label === null || agent === undefined || !snapshot.labels.includes(label)) return null;
  const act = newest(snapshot.acts, (row) => row.kind === "labeled" && row.label === label);
  return { agent, at: act?.at ?? snapshot.createdAt };
}

function fromAct(act: Act, words: string): Omit<Trigger, "agent"> {
  return { id: `act:${act.id}`, person: act.actor, at: act.at, comment: null, words };
}

function isSubject(act: Act, agent: PolicyAgent): boolean {
  return act.subject?.login.toLowerCase() === agent.login.toLowerCase();
}

function newest(acts: readonly Act[], wanted: (act: Act) => boolean): Act | undefined {
  return acts.filter(wanted).at(-1);
}
