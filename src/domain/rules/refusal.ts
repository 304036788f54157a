import type { Decision } from "../decision.ts";
import { agentOf, agentsWith, isPermitted } from "../people.ts";
import type { PolicyAgent } from "../policy.ts";
import { isReviewWithdrawn } from "../review-request.ts";
import { assignments, type Trigger, triggerFor } from "../trigger.ts";
import { implementer } from "./implement.ts";
import type { Situation } from "./row.ts";

/**
 * What a permitted person asked of an agent that will not do it: said once, with one sentence why.
 * Null when there is nothing to refuse, or it was refused already.
 */
export function refusal(situation: Situation): Decision | null {
  const { snapshot, policy, ledger } = situation;
  if (snapshot.state !== "open") return null;
  const ofFork = forkRefusal(situation);
  if (ofFork !== null) return ofFork;
  if (snapshot.kind !== "issue") return null;
  const chosen = implementer(situation);
  for (const { agent } of assignments(snapshot, policy)) {
    const reason = reasonAgainst(agent, chosen, situation);
    const trigger = reason === null ? null : triggerFor(agent, snapshot, policy);
    if (reason === null || trigger === null) continue;
    if (!isPermitted(trigger.person, snapshot, policy)) continue;
    const { repo, number } = snapshot.item;
    const fingerprint = `${repo}#${number}|${agent.name}/refuse/${trigger.id}`;
    const said = ledger.effects.some(({ key, state }) => key === fingerprint && state !== "intent");
    if (!said) return refuse(agent, { trigger, reason, fingerprint }, snapshot.item.number);
  }
  return null;
}

/** A review of a fork's pull request: nothing that strangers wrote is opened, whoever asks. */
function forkRefusal({ snapshot, policy, ledger }: Situation): Decision | null {
  const { pull } = snapshot;
  if (pull === null || pull.state !== "open" || pull.sameRepo) return null;
  for (const agent of agentsWith("review", policy)) {
    const login = agent.login.toLowerCase();
    const request = snapshot.acts.findLast(
      ({ kind, number, actor, subject }) =>
        kind === "review_requested" &&
        number === pull.number &&
        subject?.login.toLowerCase() === login &&
        isPermitted(actor, snapshot, policy),
    );
    if (request === undefined || isReviewWithdrawn(agent.login, snapshot, policy)) continue;
    const { repo, number } = snapshot.item;
    const fingerprint = `${repo}#${number}|${agent.name}/refuse/act:${request.id}`;
    if (ledger.effects.some(({ key, state }) => key === fingerprint && state !== "intent"))
      continue;
    const asked = {
      person: request.actor,
      on: "issue",
      number: pull.number,
      comment: null,
    } as const;
    const reason =
      "This pull request comes from a fork: agents do not open what strangers wrote. A person can push it to a branch of this repository after looking at it.";
    return { kind: "refuse", agent: agent.name, reason, fingerprint, asked };
  }
  return null;
}

function reasonAgainst(
  agent: PolicyAgent,
  chosen: PolicyAgent | null,
  { snapshot, policy }: Situation,
): string | null {
  if (!agent.skills.includes("implement")) {
    const able = policy.agents.find(({ skills }) => skills.includes("implement"));
    const remedy = able === undefined ? "" : `; assign ${able.login} for that`;
    return `${agent.login} does not implement issues${remedy}.`;
  }
  const { pull } = snapshot;
  const author = pull === null ? undefined : agentOf(pull.author, { snapshot, policy });
  if (pull?.state === "open" && author !== undefined && author.name !== agent.name) {
    return `Pull request #${pull.number} of ${author.login} is open: close it, or assign ${author.login} again.`;
  }
  if (chosen !== null && chosen.name !== agent.name) return `${chosen.login} has it.`;
  return null;
}

function refuse(
  agent: PolicyAgent,
  refused: { trigger: Trigger; reason: string; fingerprint: string },
  number: number,
): Decision {
  const { trigger, reason, fingerprint } = refused;
  return {
    kind: "refuse",
    agent: agent.name,
    reason,
    fingerprint,
    asked: {
      person: trigger.person,
      on: trigger.comment === null ? "issue" : "comment",
      number,
      comment: trigger.comment,
    },
  };
}
