import { isEditedSince } from "../asked-text.ts";
import type { AskedAt } from "../decision.ts";
import { agentOf, isPermitted } from "../people.ts";
import type { PolicyAgent } from "../policy.ts";
import { assignments, type Trigger, triggerFor } from "../trigger.ts";
import { type Answer, pass, type Situation, waitForPerson } from "./row.ts";

/** Implement: a permitted person gave an open issue to an agent, and no pull request answers it yet. */
export function implement(situation: Situation): Answer {
  const { snapshot, policy } = situation;
  if (snapshot.kind !== "issue") return pass();
  const { pull } = snapshot;
  const ours = pull !== null && agentOf(pull.author, situation) !== undefined;
  if (ours && pull.state === "open") return pass();
  const agent = implementer(situation);
  if (agent === null) return pass("no agent that implements has this issue");
  const trigger = triggerFor(agent, snapshot, policy);
  if (trigger === null) return pass("nobody gave the issue to the agent");
  if (!isPermitted(trigger.person, snapshot, policy)) {
    return pass(`${trigger.person.login} may not start work here`);
  }
  if (ours && pull.endedAt !== null && pull.endedAt > trigger.at) {
    return pass(`pull request #${pull.number} has ended and nobody asked again since`);
  }
  if (isEditedSince(situation.askedText ?? null, trigger.id, situation)) {
    const { login } = snapshot.author;
    const reason = `${login}, who has no write access, changed the issue after it was given to ${agent.name}; if it is right as it stands now, assign ${agent.login} once more or write "@${agent.login} continue"`;
    return waitForPerson("implement", { name: "edited", reason }, situation);
  }
  return {
    kind: "order",
    order: {
      agent: agent.name,
      skill: "implement",
      fingerprint: `${agent.name}/implement/${trigger.id}`,
      reason: trigger.words,
      asked: askedBy(trigger, snapshot.item.number),
      headSha: null,
      reviews: [],
    },
  };
}

/** The agent that implements: the oldest assignment among those that can. */
export function implementer({ snapshot, policy }: Situation): PolicyAgent | null {
  const able = assignments(snapshot, policy).find(({ agent }) =>
    agent.skills.includes("implement"),
  );
  return able?.agent ?? null;
}

function askedBy(trigger: Trigger, number: number): AskedAt {
  return {
    person: trigger.person,
    on: trigger.comment === null ? "issue" : "comment",
    number,
    comment: trigger.comment,
  };
}
