import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Forge } from "./forge.ts";
import type { GitIdentity } from "./git-runner.ts";
import type { MergeStyle, Repo } from "./state.ts";

/** What is to be merged: base and head as shas, and who does it. */
export type MergeOrder = {
  style: MergeStyle;
  base: string;
  head: string;
  message: string;
  identity: GitIdentity;
};

/** The new sha for the base branch, or why there is none. */
export type MergeResult =
  | { kind: "merged"; sha: string }
  | { kind: "conflict"; output: string }
  | { kind: "not-fast-forward" };

/** Makes the commits of a merge in the bare repository without moving any branch. */
export async function makeMerge(forge: Forge, repo: Repo, order: MergeOrder): Promise<MergeResult> {
  switch (order.style) {
    case "merge":
      return mergeTrees(forge, repo, { ...order, parents: [order.base, order.head] });
    case "squash":
      return mergeTrees(forge, repo, { ...order, parents: [order.base] });
    case "rebase":
      return rebase(forge, repo, order);
    case "rebase-merge": {
      const rebased = await rebase(forge, repo, order);
      if (rebased.kind !== "merged") return rebased;
      const parents = [order.base, rebased.sha];
      return mergeTrees(forge, repo, { ...order, head: rebased.sha, parents });
    }
    case "fast-forward-only": {
      const args = ["merge-base", "--is-ancestor", order.base, order.head];
      const result = await forge.git.run(repo.path, args);
      return result.exitCode === 0
        ? { kind: "merged", sha: order.head }
        : { kind: "not-fast-forward" };
    }
  }
}

async function mergeTrees(
  forge: Forge,
  repo: Repo,
  { base, head, message, identity, parents }: MergeOrder & { parents: string[] },
): Promise<MergeResult> {
  const merged = await forge.git.run(repo.path, ["merge-tree", "--write-tree", base, head]);
  if (merged.exitCode !== 0) return { kind: "conflict", output: merged.stdout };
  const tree = merged.stdout.slice(0, 40);
  const args = ["commit-tree", tree, ...parents.flatMap((parent) => ["-p", parent])];
  const sha = await forge.git.read(repo.path, args, { identity, input: message });
  return { kind: "merged", sha: sha.trim() };
}

/** git 2.39 cannot rebase without a work tree, so that one is lent for the moment. */
async function rebase(forge: Forge, repo: Repo, order: MergeOrder): Promise<MergeResult> {
  const directory = await mkdtemp(join(forge.git.home, "rebase-"));
  const tree = join(directory, "tree");
  try {
    await forge.git.read(repo.path, ["worktree", "add", "--quiet", "--detach", tree, order.head]);
    const options = { identity: order.identity };
    const result = await forge.git.run(tree, ["rebase", "--quiet", order.base], options);
    if (result.exitCode !== 0) return { kind: "conflict", output: result.stderr };
    return { kind: "merged", sha: (await forge.git.read(tree, ["rev-parse", "HEAD"])).trim() };
  } finally {
    await forge.git.run(repo.path, ["worktree", "remove", "--force", tree]);
    await rm(directory, { recursive: true, force: true });
  }
}
