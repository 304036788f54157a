import type { GoOn, RunOrder } from "./decision.ts";
import { stillHasWork } from "./people.ts";
import type { Policy } from "./policy.ts";
import { isReviewWithdrawn } from "./review-request.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Whether a living run may go on. It may not when the issue or pull request was closed by others,
 * the agent was unassigned or its review request withdrawn, or, for review and merge, the head is no
 * longer the one given to it. What the run itself did never ends it: `done` says that its effect on
 * the forge is already made, which moves heads and removes requests.
 */
export function mayGoOn(
  order: RunOrder,
  state: { snapshot: Snapshot; policy: Policy; done: boolean },
): GoOn {
  const { snapshot, policy } = state;
  const agent = policy.agents.find(({ name }) => name === order.agent);
  if (agent === undefined) return no(`${order.agent} is no longer configured`);
  const { pull } = snapshot;
  // A merge ends pull request and issue before its own run has heard of it.
  if (order.skill === "merge" && pull?.merged === true) return { ok: true };
  if (snapshot.state === "closed") return no("the issue was closed");
  if (order.skill === "implement") {
    return stillHasWork(agent, snapshot, policy)
      ? { ok: true }
      : no(`${agent.name} was unassigned`);
  }
  if (pull === null || pull.state !== "open") return no("the pull request was closed");
  if (state.done) return { ok: true };
  if (order.skill === "review" || order.skill === "merge") {
    if (pull.headSha !== order.headSha) return no("the pull request has a new head");
    if (order.skill === "review" && isReviewWithdrawn(agent.login, snapshot, policy)) {
      return no("the review request was withdrawn");
    }
    return { ok: true };
  }
  return stillHasWork(agent, snapshot, policy) ? { ok: true } : no(`${agent.name} was unassigned`);
}

function no(reason: string): GoOn {
  return { ok: false, reason };
}
