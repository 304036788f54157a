import type { Park } from "../ledger.ts";
import { mergeGate } from "../merge-gate.ts";
import { agentOf, agentsWith, mentions } from "../people.ts";
import { unreadComments } from "../texts.ts";
import { type Answer, pass, type Situation } from "./row.ts";

const CHECKS_FIRST_MS = 20_000;

/** Merge: the gate is open, and the pull request is an agent's or a permitted person asked for the merge. */
export function merge(situation: Situation): Answer {
  const { snapshot, policy, ledger, now } = situation;
  const { pull } = snapshot;
  const agent = agentsWith("merge", policy)[0];
  if (pull === null || pull.state !== "open" || agent === undefined) return pass();
  const ours = agentOf(pull.author, situation) !== undefined;
  if (!ours && !askedToMerge(situation)) return pass();
  if (situation.conflicts) return pass("base and head conflict");
  const gate = mergeGate(pull, snapshot, {
    policy,
    tainted: ledger.tainted,
    change: situation.branchChange ?? null,
  });
  if (gate.open) {
    return {
      kind: "order",
      order: {
        agent: agent.name,
        skill: "merge",
        fingerprint: `${agent.name}/merge/${pull.headSha}`,
        reason: `the merge gate of #${pull.number} is open`,
        asked: { person: pull.author, on: "issue", number: pull.number, comment: null },
        headSha: pull.headSha,
        reviews: [],
      },
    };
  }
  const closed = `merge gate: ${gate.reason}`;
  switch (gate.name) {
    case "person":
    case "protected":
      return waitForPerson(gate.reason, situation);
    case "autonomy":
      return policy.repository.autonomy === "review"
        ? waitForPerson(gate.reason, situation)
        : pass(closed);
    case "checks_pending":
      return now - pull.updatedAt > policy.limits.checksMinutes * 60_000
        ? waitForPerson(`the checks do not come to an end: ${gate.reason}`, situation)
        : pass(closed, nextLook(pull.updatedAt, now));
    case "checks_failed":
    case "approvals":
    case "changes_requested":
    case "base":
    case "fork":
    case "draft":
    case "ended":
      return pass(closed);
  }
}

function waitForPerson(reason: string, { now }: Situation): Answer {
  const park: Park = { row: "merge", name: "person", reason, until: null, since: now };
  return { kind: "decided", decision: { kind: "park", park } };
}

/** Checks are looked at after 20 s, then ever more rarely: the wait doubles with the age of the head. */
function nextLook(since: number, now: number): number {
  return now + Math.max(CHECKS_FIRST_MS, Math.min(now - since, 10 * 60_000));
}

/** A permitted person wrote `@code-lead merge`, and no merge run has taken it up yet. */
function askedToMerge(situation: Situation): boolean {
  return agentsWith("merge", situation.policy).some((agent) =>
    unreadComments(agent.name, situation).some(({ body }) =>
      mentions(body, agent.login, "(?:please[ \\t]+)?merge"),
    ),
  );
}
