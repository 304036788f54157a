import { checksOf } from "../checks.ts";
import { notBuiltReason } from "../decision.ts";
import { agentOf, isAssigned, mentions, stillHasWork } from "../people.ts";
import type { PolicyAgent } from "../policy.ts";
import { BUILT_SKILLS, type Skill } from "../skill.ts";
import { unreadComments } from "../texts.ts";
import { type Answer, pass, type Situation } from "./row.ts";

/** Fix-checks: checks of the head failed and none is pending. */
export function fixChecks(situation: Situation): Answer {
  const author = activeAuthor(situation);
  const { pull } = situation.snapshot;
  if (author === null || pull === null) return pass();
  if (checksOf(pull, situation.policy.repository.checks).kind !== "failed") return pass();
  return notBuilt("fix-checks", author);
}

/** Update-branch: git says that base and head conflict. */
export function updateBranch(situation: Situation): Answer {
  const author = activeAuthor(situation);
  if (author === null || !situation.conflicts) return pass();
  return notBuilt("update-branch", author);
}

/** Respond: a permitted person's text is addressed to an agent that has not read it. */
export function respond(situation: Situation): Answer {
  const { snapshot, policy } = situation;
  for (const agent of policy.agents) {
    const waiting = unreadComments(agent.name, situation).some(
      ({ body }) => mentions(body, agent.login) || isAddressee(agent, body, situation),
    );
    const spokeBefore = situation.ledger.runs.some((run) => run.agent === agent.name);
    if (waiting && (spokeBefore || !isAssigned(agent, snapshot))) return notBuilt("respond", agent);
  }
  return pass();
}

/** Nobody is mentioned and it is the author of the open pull request or, before one, the assignee. */
function isAddressee(agent: PolicyAgent, body: string, { snapshot, policy }: Situation): boolean {
  if (policy.agents.some(({ login }) => mentions(body, login))) return false;
  const { pull } = snapshot;
  if (pull !== null && pull.state === "open") {
    return pull.author.login.toLowerCase() === agent.login.toLowerCase();
  }
  return isAssigned(agent, snapshot);
}

function activeAuthor(situation: Situation): PolicyAgent | null {
  const { snapshot, policy } = situation;
  const { pull } = snapshot;
  if (pull === null || pull.state !== "open") return null;
  const author = agentOf(pull.author, situation);
  return author !== undefined && stillHasWork(author, snapshot, policy) ? author : null;
}

function notBuilt(skill: Skill, agent: PolicyAgent): Answer {
  if (BUILT_SKILLS.includes(skill) || !agent.skills.includes(skill)) return pass();
  return pass(notBuiltReason(skill));
}
