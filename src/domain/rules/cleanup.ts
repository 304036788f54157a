import type { Decision } from "../decision.ts";
import { assignments, triggerFor } from "../trigger.ts";
import type { Situation } from "./row.ts";

/**
 * Cleanup: the issue is closed, or its newest pull request has ended and nobody asked again since,
 * and something of it is still here. Null when there is nothing to clean.
 */
export function cleanup({ snapshot, ledger, policy }: Situation): Decision | null {
  const { sessions, clones, branches } = ledger.leftovers;
  const mergedBranch = snapshot.pull?.merged === true ? branches.length : 0;
  if (sessions + clones + mergedBranch === 0) return null;
  if (snapshot.state === "closed") return { kind: "cleanup", reason: "the issue is closed" };
  const { pull } = snapshot;
  if (pull === null || pull.state === "open" || pull.endedAt === null) return null;
  const { endedAt } = pull;
  const askedAgain = assignments(snapshot, policy).some(
    ({ agent }) => (triggerFor(agent, snapshot, policy)?.at ?? 0) >= endedAt,
  );
  if (askedAgain) return null;
  return { kind: "cleanup", reason: `pull request #${pull.number} has ended` };
}
