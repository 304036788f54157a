import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ItemRef } from "../domain/snapshot.ts";
import { type CloneState, GitFailure } from "../ports/git.ts";
import { findClone } from "./find-clone.ts";
import { checkRun, clonePath } from "./names.ts";
import type { Place } from "./place.ts";
import { isReadOnly } from "./read-only.ts";
import { branchSha, isAncestor } from "./refs.ts";
import { takeCommits } from "./take-commits.ts";

const DIRTY_FILES_MAX = 50;
const DIRTY_BYTES_MAX = 256 * 1024;

/** A clone and the agent and work item it belongs to. */
export interface CloneOf {
  readonly item: ItemRef;
  readonly agent: string;
}

/** HEAD of the clone, whether the base lacks it, and what is not committed. @throws GitFailure */
export async function inspect(place: Place, clone: CloneOf, base: string): Promise<CloneState> {
  const root = await cloneRoot(place, clone);
  const cache = await place.cache.recent(clone.item.repo, Number.POSITIVE_INFINITY);
  const headSha = await takeHead(place, clone, root);
  const baseSha = await branchSha(place.git, cache, base);
  const isContained =
    baseSha !== null && (await isAncestor(place.git, cache, { of: baseSha, commit: headSha }));
  const dirty = await dirtyFiles(place, { repo: clone.item.repo, root, headSha });
  return { headSha, aheadOfBase: !isContained, dirtyFiles: dirty };
}

/**
 * Keeps HEAD of the clone as `refs/claude-hooks/<run>` in the cache.
 * @returns the ref, or null when there is no clone or no commit in it. @throws GitFailure
 */
export async function keep(place: Place, clone: CloneOf, run: string): Promise<string | null> {
  const root = await findClone(place.workRoot, clonePath(place.workRoot, clone.item, clone.agent));
  if (root === null || (await isReadOnly(place, clone))) return null;
  const ref = `refs/claude-hooks/${checkRun(run)}`;
  const { git, cacheScratch: scratch } = place;
  await place.cache.recent(clone.item.repo, Number.POSITIVE_INFINITY);
  const head = await place.cache.exclusive(clone.item.repo, (cache) =>
    takeCommits({ git, cache, root, ref, scratch }),
  );
  return head === null ? null : ref;
}

/** Real path of an existing clone. @throws GitFailure `not_found` when there is none. */
export async function cloneRoot(place: Place, { item, agent }: CloneOf): Promise<string> {
  const path = clonePath(place.workRoot, item, agent);
  const root = await findClone(place.workRoot, path);
  if (root === null)
    throw new GitFailure("not_found", `${agent} has no clone for ${item.repo}#${item.number}`);
  return root;
}

/** Brings HEAD of the clone into the cache and names it; no ref stays. @throws GitFailure */
export async function takeHead(place: Place, clone: CloneOf, root: string): Promise<string> {
  if (await isReadOnly(place, clone)) {
    throw new GitFailure("broken", `nothing is taken out of ${root}: it was made to be read only`);
  }
  const { git, cacheScratch: scratch } = place;
  const ref = `refs/incoming/${clone.agent}-${clone.item.number}`;
  const head = await place.cache.exclusive(clone.item.repo, async (cache) => {
    const taken = await takeCommits({ git, cache, root, ref, scratch });
    await git({ args: ["update-ref", "-d", ref], cwd: cache });
    return taken;
  });
  if (head === null) throw new GitFailure("broken", `HEAD of the clone ${root} has no commit`);
  return head;
}

/**
 * Paths that differ from the commit or that git does not know, at most 50. Git runs with the cache
 * as its directory and an index of our own; of the clone it reads files only, never its `.git`, and
 * it does not go into nested repositories. @throws GitFailure
 */
export async function dirtyFiles(
  place: Place,
  at: { readonly repo: string; readonly root: string; readonly headSha: string },
): Promise<readonly string[]> {
  const scratch = await place.cacheScratch.make();
  const env = {
    GIT_DIR: place.cache.path(at.repo),
    GIT_WORK_TREE: at.root,
    GIT_INDEX_FILE: join(scratch, "index"),
  };
  const list = async (args: readonly string[]): Promise<readonly string[]> => {
    const found = await place.git({ args, cwd: at.root, env, outputBytes: DIRTY_BYTES_MAX });
    return found.stdout.split("\0").filter((name) => name !== "");
  };
  try {
    await place.git({ args: ["read-tree", at.headSha], cwd: at.root, env });
    const refresh = ["update-index", "-q", "--refresh", "--ignore-submodules"];
    await place.git({ args: refresh, cwd: at.root, env, exits: [0, 1] });
    const changed = await list(["diff-files", "--name-only", "-z", "--ignore-submodules=all"]);
    const unknown = await list([
      ...["ls-files", "--others", "--exclude-standard", "-z"],
      ...["--directory", "--no-empty-directory"],
    ]);
    return [...changed, ...unknown].slice(0, DIRTY_FILES_MAX);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
