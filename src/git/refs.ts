import { GitFailure } from "../ports/git.ts";
import { wrapped } from "./failure.ts";
import { checkBranch, isSha } from "./names.ts";
import type { Place } from "./place.ts";
import type { RunGit } from "./run-git.ts";

/** @returns the sha of a branch of the remote as the cache knows it, or null. @throws GitFailure */
export async function branchSha(
  git: RunGit,
  cache: string,
  branch: string,
): Promise<string | null> {
  const ref = `refs/remotes/origin/${checkBranch(branch)}`;
  const found = await git({
    args: ["rev-parse", "--verify", "--quiet", ref],
    cwd: cache,
    exits: [0, 1],
  });
  return found.exitCode === 0 ? found.stdout.trim() : null;
}

/** Whether `commit` is contained in `of` (both shas). @throws GitFailure */
export async function isAncestor(
  git: RunGit,
  cache: string,
  { of, commit }: { readonly of: string; readonly commit: string },
): Promise<boolean> {
  const args = ["merge-base", "--is-ancestor", commit, of];
  return (await git({ args, cwd: cache, exits: [0, 1] })).exitCode === 0;
}

/** Whether the cache has the commit. @throws GitFailure */
export async function hasCommit(git: RunGit, cache: string, sha: string): Promise<boolean> {
  const args = ["cat-file", "-e", `${sha}^{commit}`];
  return (await git({ args, cwd: cache, exits: [0, 1, 128] })).exitCode === 0;
}

/**
 * Has the commit in the cache, asking the remote for it by its sha when no branch leads there (a
 * fork's head, a branch that is gone). Forgejo sets uploadpack.allowAnySHA1InWant: modules/git/git.go.
 * @throws GitFailure `not_found` when the remote does not have it either.
 */
export async function ensureCommit(place: Place, repo: string, sha: string): Promise<void> {
  const { git, cache } = place;
  if (await hasCommit(git, cache.path(repo), sha)) return;
  const remote = place.remote(repo, null);
  try {
    await cache.exclusive(repo, (path) =>
      git({
        args: ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote.url, sha],
        cwd: path,
        remote,
      }),
    );
  } catch (error) {
    if (!(error instanceof GitFailure) || error.kind !== "broken") throw error;
    throw wrapped("not_found", `${repo} has no commit ${sha}`, error);
  }
}

/** Resolves a branch of the remote or a full sha to a sha that the cache has. @throws GitFailure */
export async function resolve(place: Place, repo: string, name: string): Promise<string> {
  if (isSha(name)) {
    await place.cache.recent(repo, Number.POSITIVE_INFINITY);
    await ensureCommit(place, repo, name);
    return name;
  }
  const cache = await place.cache.recent(repo, RECENT_MS);
  const sha = await branchSha(place.git, cache, name);
  if (sha === null) throw new GitFailure("not_found", `${repo} has no branch ${name}`);
  return sha;
}

/** How old the cache may be for a look at a branch that no effect rests on. */
export const RECENT_MS = 10_000;
