import { closedNumbers, closeIssues, setClosed } from "./close-keywords.ts";
import { emitPush, emitRef, emitSynchronized, type PushedCommit } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { checkLater, isSameDiff, refreshPull } from "./pull-check.ts";
import { type Account, type PullIssue, pullsOf, type Repo } from "./state.ts";

const NO_SHA = "0".repeat(40);

/** One ref that moved; before or after is undefined for a new or deleted ref. */
export type RefChange = { ref: string; before: string | undefined; after: string | undefined };

/**
 * Takes over the refs after a push and tells the rest of the forge a moment later, as Forgejo's
 * push queue does.
 */
export function noticePush(
  forge: Forge,
  repo: Repo,
  { refs, pusher }: { refs: Map<string, string>; pusher: Account },
): void {
  const names = new Set([...repo.refs.keys(), ...refs.keys()]);
  const changes: RefChange[] = [...names]
    .map((ref) => ({ ref, before: repo.refs.get(ref), after: refs.get(ref) }))
    .filter((change) => change.before !== change.after);
  repo.refs = refs;
  if (changes.length === 0) return;
  forge.later(forge.timing.pushMs, async () => {
    for (const change of changes) await spreadChange(forge, repo, { change, sender: pusher });
  });
}

/** Tells hooks and pull requests of one ref that has moved. */
export async function spreadChange(
  forge: Forge,
  repo: Repo,
  { change, sender, isMerge = false }: { change: RefChange; sender: Account; isMerge?: boolean },
): Promise<void> {
  const { ref, before, after } = change;
  if (ref.startsWith("refs/pull/")) return;
  repo.updatedAt = forge.now();
  if (after === undefined) {
    emitRef(forge, repo, { kind: "delete", ref, sha: before ?? NO_SHA, sender });
    closeForBranch(forge, repo, { branch: ref.replace("refs/heads/", ""), sender });
    return;
  }
  const commits = await readCommits(forge, repo, { before, after });
  if (before === undefined) emitRef(forge, repo, { kind: "create", ref, sha: after, sender });
  emitPush(forge, repo, { ref, before: before ?? NO_SHA, after, commits, sender });
  if (!ref.startsWith("refs/heads/")) return;
  const branch = ref.slice("refs/heads/".length);
  await updatePulls(forge, repo, { branch, change, commits, sender });
  if (branch === repo.defaultBranch && !isMerge && before !== undefined) {
    const numbers = commits.flatMap((commit) => closedNumbers(commit.message));
    closeIssues(forge, repo, { numbers, sender, commitId: after });
  }
}

async function updatePulls(
  forge: Forge,
  repo: Repo,
  {
    branch,
    change,
    commits,
    sender,
  }: {
    branch: string;
    change: RefChange;
    commits: PushedCommit[];
    sender: Account;
  },
): Promise<void> {
  for (const issue of pullsOf(repo)) {
    if (issue.isClosed || issue.pull.merged !== undefined) continue;
    if (issue.pull.headBranch === branch) await moveHead(forge, issue, { change, commits, sender });
    if (issue.pull.baseBranch === branch) await refreshPull(forge, issue);
    if (issue.pull.headBranch === branch || issue.pull.baseBranch === branch)
      checkLater(forge, issue);
  }
}

async function moveHead(
  forge: Forge,
  issue: PullIssue,
  { change, commits, sender }: { change: RefChange; commits: PushedCommit[]; sender: Account },
): Promise<void> {
  const { pull, repo } = issue;
  const before = pull.headSha;
  const after = change.after ?? before;
  const isBeingMade = before === "";
  if (isBeingMade || before === after) return;
  const isForced =
    (await forge.git.run(repo.path, ["merge-base", "--is-ancestor", before, after])).exitCode !== 0;
  const isSame = await isSameDiff(forge, issue, { before, after });
  await refreshPull(forge, issue);
  const rule = repo.protections.find((one) => one.ruleName === pull.baseBranch);
  for (const review of pull.reviews) {
    if (!isSame) review.stale = review.commitId !== after;
    if (!isSame && rule?.dismissStaleApprovals === true && review.state === "APPROVED")
      review.dismissed = true;
  }
  const ids = isForced ? [before, after] : commits.map((commit) => commit.id).toReversed();
  addRow(forge, issue, "pull_push", {
    author: sender,
    body: JSON.stringify({ is_force_push: isForced, commit_ids: ids }),
  });
  emitSynchronized(forge, issue, sender);
}

/** Deleting the head or the base of an open pull request closes it (Forgejo: CloseBranchPulls). */
function closeForBranch(
  forge: Forge,
  repo: Repo,
  { branch, sender }: { branch: string; sender: Account },
): void {
  for (const issue of pullsOf(repo)) {
    const concerned = issue.pull.headBranch === branch || issue.pull.baseBranch === branch;
    if (concerned && !issue.isClosed) setClosed(forge, issue, { isClosed: true, sender });
  }
}

async function readCommits(
  forge: Forge,
  repo: Repo,
  { before, after }: { before: string | undefined; after: string },
): Promise<PushedCommit[]> {
  const range =
    before === undefined
      ? [after, "--not", `refs/heads/${repo.defaultBranch}`]
      : [after, `^${before}`];
  const format = "--format=%H%x00%an%x00%ae%x00%cI%x00%B%x01";
  const result = await forge.git.run(repo.path, ["log", "--max-count=200", format, ...range, "--"]);
  if (result.exitCode !== 0) return [];
  return result.stdout
    .split("\x01")
    .map((record) => record.replace(/^\n/, "").split("\0"))
    .filter((fields) => fields.length === 5)
    .map(([id = "", name = "", email = "", timestamp = "", message = ""]) => ({
      id,
      message,
      author: { name, email },
      timestamp,
    }));
}
