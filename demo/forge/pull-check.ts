import type { Forge } from "./forge.ts";
import { branchSha, type PullIssue, type Repo } from "./state.ts";

/** Brings head, refs/pull/N/head, merge base and size of a pull request up to date. */
export async function refreshPull(forge: Forge, issue: PullIssue): Promise<void> {
  const { pull, repo } = issue;
  const head = branchSha(repo, pull.headBranch);
  const base = branchSha(repo, pull.baseBranch);
  if (head === undefined || base === undefined) return;
  const ref = `refs/pull/${issue.number}/head`;
  await forge.git.read(repo.path, ["update-ref", ref, head]);
  repo.refs.set(ref, head);
  pull.headSha = head;
  pull.mergeBase = await mergeBaseOf(forge, repo, { base, head });
  pull.stats = await readStats(forge, issue);
}

/** @returns the newest commit both have, or `base` where they have none. */
export async function mergeBaseOf(
  forge: Forge,
  repo: Repo,
  { base, head }: { readonly base: string; readonly head: string },
): Promise<string> {
  const found = await forge.git.run(repo.path, ["merge-base", base, head]);
  return found.exitCode === 0 ? found.stdout.trim() : base;
}

/** Starts the conflict check: `mergeable` is false and merging refused until it has run. */
export function checkLater(forge: Forge, issue: PullIssue): void {
  const { pull } = issue;
  pull.status = "checking";
  pull.checks += 1;
  const { checks } = pull;
  forge.later(forge.timing.mergeCheckMs, async () => {
    const status = await readStatus(forge, issue);
    if (pull.checks !== checks) return;
    pull.status = status;
    await forge.afterCheck(issue);
  });
}

/** @returns whether two heads bring the same changes, as after a rebase without conflict. */
export async function isSameDiff(
  forge: Forge,
  issue: PullIssue,
  { before, after }: { before: string; after: string },
): Promise<boolean> {
  const base = branchSha(issue.repo, issue.pull.baseBranch);
  if (base === undefined) return false;
  const diffs = [before, after].map((head) =>
    forge.git.run(issue.repo.path, ["diff", "--no-color", `${base}...${head}`]),
  );
  const [first, second] = await Promise.all(diffs);
  return first?.exitCode === 0 && second?.exitCode === 0 && first.stdout === second.stdout;
}

async function readStatus(forge: Forge, issue: PullIssue): Promise<PullIssue["pull"]["status"]> {
  const { pull, repo } = issue;
  const base = branchSha(repo, pull.baseBranch);
  if (base === undefined) return "conflict";
  const contained = ["merge-base", "--is-ancestor", pull.headSha, base];
  if ((await forge.git.run(repo.path, contained)).exitCode === 0) return "empty";
  const merged = await forge.git.run(repo.path, ["merge-tree", "--write-tree", base, pull.headSha]);
  return merged.exitCode === 0 ? "mergeable" : "conflict";
}

async function readStats(forge: Forge, issue: PullIssue): Promise<PullIssue["pull"]["stats"]> {
  const { pull, repo } = issue;
  const result = await forge.git.run(repo.path, [
    "diff",
    "--numstat",
    pull.mergeBase,
    pull.headSha,
  ]);
  const lines = result.stdout.split("\n").filter((line) => line !== "");
  const sum = (column: number): number =>
    lines.reduce((total, line) => total + (Number(line.split("\t")[column]) || 0), 0);
  return { additions: sum(0), deletions: sum(1), files: lines.length };
}
