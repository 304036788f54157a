import { agentOf, isPermitted } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Whether a permitted person took the request for this account's review back, and neither such a
 * person nor one of our accounts asked again since.
 */
export function isReviewWithdrawn(login: string, snapshot: Snapshot, policy: Policy): boolean {
  const wanted = login.toLowerCase();
  const last = snapshot.acts.findLast(
    ({ kind, subject, actor }) =>
      (agentOf(actor, { snapshot, policy }) !== undefined ||
        isPermitted(actor, snapshot, policy)) &&
      (kind === "review_requested" || kind === "review_request_removed") &&
      subject?.login.toLowerCase() === wanted,
  );
  return (
    last?.kind === "review_request_removed" &&
    agentOf(last.actor, { snapshot, policy }) === undefined
  );
}
