import { type RefChange, spreadChange } from "./after-push.ts";
import { Refusal } from "./answers.ts";
import { identityOf, moveRef } from "./bare-repository.ts";
import { closedNumbers, closeIssues } from "./close-keywords.ts";
import { emitIssue } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { makeMerge } from "./merge-git.ts";
import { type Account, branchSha, type MergeStyle, type PullIssue } from "./state.ts";

/**
 * Merges a pull request that may be merged: commits, base branch, `closed` event, then the issues
 * it closes in the name of the merger, and the push a moment later.
 * @throws Refusal 409 for a conflict, a head other than the expected one, or a base that moved;
 * 405 for a style that does not fit.
 */
export async function mergePull(
  forge: Forge,
  issue: PullIssue,
  {
    sender,
    style,
    message,
    headCommitId,
  }: {
    sender: Account;
    style: MergeStyle;
    message: string;
    headCommitId: string;
  },
): Promise<void> {
  const { pull, repo } = issue;
  await forge.git.exclusive(repo.path, async () => {
    const base = branchSha(repo, pull.baseBranch);
    const head = branchSha(repo, pull.headBranch) ?? pull.headSha;
    if (pull.merged !== undefined || base === undefined)
      throw new Refusal(409, "pull request has been merged or has lost its base");
    if (headCommitId !== "" && headCommitId !== head) throw new Refusal(409, "head out of date");
    const order = { style, base, head, message, identity: identityOf(sender) };
    const made = await makeMerge(forge, repo, order);
    if (made.kind === "conflict") throw conflictRefusal(style, made.output);
    if (made.kind === "not-fast-forward")
      throw new Refusal(405, `${style} is not an allowed merge style for this repository`);
    const commits = await forge.git.run(repo.path, ["log", "--format=%B", `${base}..${head}`]);
    const ref = `refs/heads/${pull.baseBranch}`;
    if (!(await moveRef(forge, repo, { ref, before: base, after: made.sha })))
      throw new Refusal(409, "merge push out of date");
    finish(forge, issue, { sender, sha: made.sha });
    const text = `${issue.title}\n${issue.body}\n${message}\n${commits.stdout}`;
    const numbers = closedNumbers(text);
    closeIssues(forge, repo, { numbers, sender, commitId: made.sha });
    pushLater(forge, issue, { change: { ref, before: base, after: made.sha }, sender });
  });
}

function finish(
  forge: Forge,
  issue: PullIssue,
  { sender, sha }: { sender: Account; sha: string },
): void {
  issue.pull.merged = { at: forge.now(), by: sender, sha };
  delete issue.pull.scheduled;
  issue.isClosed = true;
  issue.closedAt = forge.now();
  addRow(forge, issue, "merge_pull", { author: sender, commitSha: sha });
  emitIssue(forge, issue, { action: "closed", sender });
}

function pushLater(
  forge: Forge,
  issue: PullIssue,
  { change, sender }: { change: RefChange; sender: Account },
): void {
  forge.later(forge.timing.pushMs, () =>
    spreadChange(forge, issue.repo, { change, sender, isMerge: true }),
  );
}

/** A conflict is answered with the error as Go writes the struct, not with `{"message"}`. */
function conflictRefusal(style: MergeStyle, output: string): Refusal {
  return new Refusal(409, "merge conflict", {
    body: { Style: style, StdOut: output, StdErr: "", Err: {} },
  });
}
