import { Refusal } from "./answers.ts";
import type { Forge } from "./forge.ts";
import { isDraft } from "./payloads.ts";
import { headOf } from "./pull-payload.ts";
import {
  type Account,
  accessOf,
  branchSha,
  canWrite,
  type Protection,
  type PullIssue,
  type Status,
} from "./state.ts";

/**
 * Refuses what may not be merged now, in Forgejo's order (services/pull/check.go). A conflict that
 * the check has found is refused with the same words as a check that is still running.
 * @throws Refusal 404 for a closed pull request, else 405.
 */
export async function assertMergeable(
  forge: Forge,
  issue: PullIssue,
  { sender, force, isAuto }: { sender: Account; force: boolean; isAuto: boolean },
): Promise<void> {
  const { pull, repo } = issue;
  if (pull.merged !== undefined) throw new Refusal(405, "");
  if (issue.isClosed) throw new Refusal(404, "The target couldn't be found.");
  const rule = repo.protections.find((one) => one.ruleName === pull.baseBranch);
  if (!canWrite(repo, sender)) throw new Refusal(405, "User not allowed to merge PR");
  if (isDraft(issue.title)) throw new Refusal(405, "Work in progress PRs cannot be merged");
  if (pull.status === "checking" || pull.status === "conflict")
    throw new Refusal(405, "Please try again later");
  if (rule === undefined || isAuto) return;
  const reason = await protectionReason(forge, issue, rule);
  const mayForce = force && !rule.applyToAdmins && accessOf(repo, sender) === "admin";
  if (reason !== undefined && !mayForce)
    throw new Refusal(405, `not allowed to merge [reason: ${reason}]`);
}

/** @returns whether the statuses that a protection asks for are green; without one: always. */
export function statusesPass(issue: PullIssue): boolean {
  const rule = issue.repo.protections.find((one) => one.ruleName === issue.pull.baseBranch);
  if (rule === undefined || !rule.enableStatusCheck) return true;
  const newest = newestStatuses(issue.repo.statuses, headOf(issue).sha);
  const wanted =
    rule.statusCheckContexts.length === 0
      ? newest
      : rule.statusCheckContexts.map((name) => newest.find((one) => one.context === name));
  return wanted.length > 0 && wanted.every((status) => status?.state === "success");
}

/** @returns the newest status of each context of a commit, newest first. */
export function newestStatuses(statuses: readonly Status[], sha: string): Status[] {
  const newest = new Map<string, Status>();
  for (const status of statuses) if (status.sha === sha) newest.set(status.context, status);
  return [...newest.values()].toSorted((a, b) => b.id - a.id);
}

async function protectionReason(
  forge: Forge,
  issue: PullIssue,
  rule: Protection,
): Promise<string | undefined> {
  const { pull, repo } = issue;
  if (!statusesPass(issue)) return "Not all required status checks successful";
  const counting = pull.reviews.filter((one) => one.official && !one.dismissed);
  const approvals = counting.filter((one) => one.state === "APPROVED");
  if (approvals.length < rule.requiredApprovals) return "Does not have enough approvals";
  if (rule.blockOnRejectedReviews && counting.some((one) => one.state === "REQUEST_CHANGES"))
    return "There are requested changes";
  if (rule.blockOnOutdatedBranch && !(await isUpToDate(forge, issue)))
    return "The head branch is behind the base branch";
  return branchSha(repo, pull.baseBranch) === undefined ? "The base branch is gone" : undefined;
}

async function isUpToDate(forge: Forge, issue: PullIssue): Promise<boolean> {
  const base = branchSha(issue.repo, issue.pull.baseBranch) ?? "";
  const args = ["merge-base", "--is-ancestor", base, headOf(issue).sha];
  return (await forge.git.run(issue.repo.path, args)).exitCode === 0;
}
