import { type Change, whyGuarded } from "./change.ts";
import { checksOf } from "./checks.ts";
import { agentOf, isPermitted, isWriter } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { Pull, Review, Snapshot } from "./snapshot.ts";
import { verdicts } from "./verdicts.ts";

/** Why the gate is closed: one word for machines, one sentence for people, and who can open it. */
export type GateAnswer =
  | { readonly open: true }
  | {
      readonly open: false;
      readonly name:
        | "ended"
        | "draft"
        | "fork"
        | "autonomy"
        | "base"
        | "changes_requested"
        | "approvals"
        | "person"
        | "protected"
        | "checks_pending"
        | "checks_failed";
      readonly reason: string;
    };

/**
 * Whether this pull request may be merged at exactly its head, decided from one snapshot and
 * nothing else. `tainted`: text of people without write access has reached a session that worked
 * on it. `change`: what git says it changes; null or absent when that is not known.
 */
export function mergeGate(
  pull: Pull,
  snapshot: Snapshot,
  context: { policy: Policy; tainted: boolean; change?: Change | null },
): GateAnswer {
  const { policy } = context;
  const { repository } = policy;
  if (pull.state !== "open" || pull.merged) return closed("ended", "the pull request has ended");
  if (pull.draft) return closed("draft", "the pull request is a draft");
  if (!pull.sameRepo) return closed("fork", "the pull request comes from a fork");
  if (repository.autonomy === "propose") {
    return closed("autonomy", "this repository only lets agents propose: a person merges");
  }
  if (pull.baseBranch !== repository.base) {
    return closed("base", `the pull request goes to ${pull.baseBranch}, not to ${repository.base}`);
  }
  const objection = verdicts(pull).find(
    (review) => review.state === "REQUEST_CHANGES" && isWriter(review.author, snapshot),
  );
  if (objection !== undefined) {
    return closed("changes_requested", `${objection.author.login} has requested changes`);
  }
  const checks = checksOf(pull, repository.checks);
  if (checks.kind === "failed") {
    return closed("checks_failed", `checks failed: ${checks.contexts.join(", ")}`);
  }
  const approvals = approvalsOf(pull, snapshot);
  const people = approvals.filter(
    (review) => agentOf(review.author, { snapshot, policy }) === undefined,
  );
  if (approvals.length < repository.approvals.any) {
    return closed(
      "approvals",
      `${repository.approvals.any} approval(s) of exactly this head needed`,
    );
  }
  if (people.length < repository.approvals.people) {
    return closed("person", "a person has to approve exactly this head");
  }
  const personApproved = people.some((review) => isPermitted(review.author, snapshot, policy));
  const guarded = whyGuarded(context.change ?? null, pull.changedPaths, policy);
  if (guarded !== null && !personApproved) {
    return closed("protected", `a person has to approve exactly this head, because ${guarded}`);
  }
  if (context.tainted && !personApproved) {
    return closed(
      "protected",
      "a person has to approve exactly this head, because text of people without write access took part",
    );
  }
  if (checks.kind === "pending") {
    return closed("checks_pending", `waiting for ${checks.contexts.join(", ")}`);
  }
  if (repository.autonomy === "review")
    return closed("autonomy", "all is in order: a person merges");
  return { open: true };
}

/** Approvals that count: official, fresh, of exactly the head, of somebody with write access who is not the author. */
function approvalsOf(pull: Pull, snapshot: Snapshot): readonly Review[] {
  return verdicts(pull).filter(
    (review) =>
      review.state === "APPROVED" &&
      review.official &&
      !review.stale &&
      review.commitId === pull.headSha &&
      review.author.id !== pull.author.id &&
      isWriter(review.author, snapshot),
  );
}

function closed(name: Exclude<GateAnswer, { open: true }>["name"], reason: string): GateAnswer {
  return { open: false, name, reason };
}
