import { agentOf } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";

/** Whether a person took the request for this account's review back, and nobody asked again since. */
export function isReviewWithdrawn(login: string, snapshot: Snapshot, policy: Policy): boolean {
  const wanted = login.toLowerCase();
  const last = snapshot.acts.findLast(
    ({ kind, subject }) =>
      (kind === "review_requested" || kind === "review_request_removed") &&
      subject?.login.toLowerCase() === wanted,
  );
  return last?.kind === "review_request_removed" && agentOf(last.actor, policy) === undefined;
}
