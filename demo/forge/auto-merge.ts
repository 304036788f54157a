import { Refusal } from "./answers.ts";
import { deleteHeadBranch } from "./branches.ts";
import type { Forge } from "./forge.ts";
import { mergePull } from "./merge-pull.ts";
import { assertMergeable, statusesPass } from "./mergeable.ts";
import type { PullIssue } from "./state.ts";

/**
 * Carries out a scheduled merge once its checks pass. Called after a conflict check, a status and
 * a review, never by the scheduling itself: on a pull request that is green already nothing
 * happens until one of these comes (Forgejo: services/automerge/automerge.go).
 */
export async function autoMerge(forge: Forge, issue: PullIssue): Promise<void> {
  const { scheduled } = issue.pull;
  if (scheduled === undefined || issue.isClosed || !statusesPass(issue)) return;
  const { by: sender, style, message, deleteBranch } = scheduled;
  try {
    await assertMergeable(forge, issue, { sender, force: false, isAuto: false });
    await mergePull(forge, issue, { sender, style, message, headCommitId: "" });
  } catch (error) {
    if (error instanceof Refusal) return;
    throw error;
  }
  if (deleteBranch) await deleteHeadBranch(forge, issue, sender);
}
