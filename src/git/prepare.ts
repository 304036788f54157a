import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GitFailure, type Workspace, type WorkspaceOrder } from "../ports/git.ts";
import { buildGitDirectory } from "./build-git-directory.ts";
import { isRealDirectory } from "./clone-files.ts";
import { findClone } from "./find-clone.ts";
import { checkBranch, checkRun, checkSha, clonePath } from "./names.ts";
import { type Place, preparedRef, removedRun } from "./place.ts";
import { dropIndex, keepIndex, restoreIndex } from "./prepared-index.ts";
import { isReadOnly, markReadOnly, unmarkReadOnly } from "./read-only.ts";
import { branchSha, ensureCommit, isAncestor } from "./refs.ts";
import { isCorrupt, type RunGit } from "./run-git.ts";
import { takeCommits } from "./take-commits.ts";

/**
 * Makes or finds the clone of (agent, work item) and stands it at the remote state. The `.git` of a
 * found clone is not cleaned but replaced by a new one, made in a place the agent cannot write:
 * whatever was planted in it is gone before any git looks at it. Files of the work tree that the
 * repository ignores (build output, installed packages) stay. @throws GitFailure
 */
export async function prepare(place: Place, order: WorkspaceOrder): Promise<Workspace> {
  checkBranch(order.base);
  checkBranch(order.branch);
  checkRun(order.run);
  if (order.at !== null) checkSha(order.at);
  const path = clonePath(place.workRoot, order.item, order.agent);
  const cache = await place.cache.refresh(order.item.repo);
  const baseSha = await branchSha(place.git, cache, order.base);
  if (baseSha === null)
    throw new GitFailure("no_base", `${order.item.repo} has no branch ${order.base}`);
  const remoteSha = await branchSha(place.git, cache, order.branch);
  if (order.at !== null) await ensureCommit(place, order.item.repo, order.at);
  const headSha = order.at ?? remoteSha ?? baseSha;
  const found = await foundFor(place, order, path);
  const known = [remoteSha, baseSha];
  const kept =
    found === null
      ? await keptAtRemoval(place, order, known)
      : await keepLocal(place, order, found, known);
  // Before it is there: a clone of a run that only reads is never taken for another one.
  if (order.at !== null) await markReadOnly(place, order, headSha);
  const made = await withSoundCache(place, order.item.repo, () =>
    buildClone(place, order, { path, found, headSha }),
  );
  await place.git({
    args: ["update-ref", preparedRef(order.agent, order.item.number), headSha],
    cwd: cache,
  });
  if (order.at === null) await unmarkReadOnly(place, order);
  return { ...made, headSha, baseSha, remoteSha, kept };
}

/** The clone to go on with; one that was made to be read only is thrown away unread. */
async function foundFor(
  place: Place,
  { item, agent }: WorkspaceOrder,
  path: string,
): Promise<string | null> {
  const found = await findClone(place.workRoot, path);
  if (found === null || !(await isReadOnly(place, { item, agent }))) return found;
  await place.workScratch.discard(found);
  await dropIndex(place.cache.path(item.repo), `${agent}-${item.number}`);
  return null;
}

/** What was kept of a clone that was removed to make room, if no remote has it by now. */
async function keptAtRemoval(
  { git, cache }: Place,
  { item, agent }: WorkspaceOrder,
  remote: readonly (string | null)[],
): Promise<string | null> {
  const ref = `refs/claude-hooks/${removedRun(agent, item.number)}`;
  const cwd = cache.path(item.repo);
  const found = await git({ args: ["rev-parse", "--verify", "--quiet", ref], cwd, exits: [0, 1] });
  const head = found.stdout.trim();
  if (head === "") return null;
  for (const sha of remote) {
    if (sha !== null && (await isAncestor(git, cwd, { of: sha, commit: head }))) return null;
  }
  return ref;
}

/** A clone whose commits cannot be read has nothing that could be kept; that is told, not thrown. */
async function keepLocal(
  place: Place,
  order: WorkspaceOrder,
  root: string,
  remote: readonly (string | null)[],
): Promise<string | null> {
  const { git, cache, cacheScratch: scratch, log } = place;
  const ref = `refs/claude-hooks/${order.run}`;
  const incoming = `refs/incoming/${order.agent}-${order.item.number}`;
  try {
    return await cache.exclusive(order.item.repo, async (path) => {
      const head = await takeCommits({ git, cache: path, root, ref: incoming, scratch });
      if (head === null) return null;
      await git({ args: ["update-ref", "-d", incoming], cwd: path });
      const prepared = preparedRef(order.agent, order.item.number);
      const before = await git({
        args: ["rev-parse", "--verify", "--quiet", prepared],
        cwd: path,
        exits: [0, 1],
      });
      if (before.stdout.trim() === head) return null;
      for (const sha of remote)
        if (sha !== null && (await isAncestor(git, path, { of: sha, commit: head }))) return null;
      await git({ args: ["update-ref", ref, head], cwd: path });
      return ref;
    });
  } catch (error) {
    if (!(error instanceof GitFailure) || error.kind !== "broken") throw error;
    log.warn("the commits of a clone could not be kept", {
      repo: order.item.repo,
      number: order.item.number,
      agent: order.agent,
      run: order.run,
      error: error.message,
    });
    return null;
  }
}

interface Made {
  readonly path: string;
  readonly fresh: boolean;
}

/**
 * A found clone is made use of when it can be. An agent may have left what no git can clear away
 * (directories deeper than a path may be, closed ones): such a clone is thrown away whole.
 */
async function buildClone(place: Place, order: WorkspaceOrder, at: Standing): Promise<Made> {
  if (at.found !== null) {
    try {
      return { path: await buildIn(place, order, { ...at, found: at.found }), fresh: false };
    } catch (error) {
      place.log.warn("a clone cannot be reset and is made anew", {
        repo: order.item.repo,
        number: order.item.number,
        agent: order.agent,
        run: order.run,
        error: String(error),
      });
    }
  }
  return { path: await buildIn(place, order, { ...at, found: null }), fresh: true };
}

/** Where the clone belongs, what is there, and the commit it shall stand at. */
interface Standing {
  readonly path: string;
  readonly found: string | null;
  readonly headSha: string;
}

async function buildIn(place: Place, order: WorkspaceOrder, at: Standing): Promise<string> {
  const { git, cache, workScratch } = place;
  const fresh = await workScratch.make();
  try {
    const directory = join(fresh, ".git");
    await cache.exclusive(order.item.repo, (source) =>
      buildGitDirectory({
        git,
        cache: source,
        path: directory,
        identity: order.identity,
        head: at.headSha,
        branch: order.at === null ? order.branch : null,
      }),
    );
    const tree = at.found ?? fresh;
    const kept = {
      cache: cache.path(order.item.repo),
      clone: `${order.agent}-${order.item.number}`,
    };
    await standAt(git, { directory, tree, sha: at.headSha, isOld: at.found !== null, kept });
    if (at.found !== null) {
      await workScratch.discard(join(at.found, ".git"));
      await rename(directory, join(at.found, ".git"));
      return at.found;
    }
    await workScratch.discard(at.path);
    await mkdir(dirname(at.path), { recursive: true, mode: 0o700 });
    await rename(fresh, at.path);
    const path = await findClone(place.workRoot, at.path);
    if (path === null) throw new GitFailure("broken", `the clone ${at.path} vanished`);
    return path;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/** Our git directory, the clone's work tree: no driver is configured, so no attribute runs one. */
async function standAt(
  git: RunGit,
  to: {
    readonly directory: string;
    readonly tree: string;
    readonly sha: string;
    readonly isOld: boolean;
    /** Where the index of this clone is kept between its runs. */
    readonly kept: { readonly cache: string; readonly clone: string };
  },
): Promise<void> {
  const { cache, clone } = to.kept;
  const index = join(to.directory, "index");
  const env = { GIT_DIR: to.directory, GIT_WORK_TREE: to.tree };
  const call = (args: readonly string[], exits: readonly number[] = [0]): Promise<unknown> =>
    git({ args, cwd: to.tree, env, exits });
  if (to.isOld && !(await restoreIndex(cache, clone, index))) {
    await call(["read-tree", to.sha]);
    await call(["update-index", "-q", "--refresh", "--ignore-submodules"], [0, 1]);
  }
  await call(["reset", "--quiet", "--hard", to.sha]);
  if (to.isOld) await call(["clean", "-ffdq"]);
  await keepIndex(cache, clone, index);
}

/** A damaged cache shows when it is read, too; it is built anew once. */
async function withSoundCache<T>(place: Place, repo: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCorrupt(error) || !(await isRealDirectory(place.cache.path(repo)))) throw error;
    place.log.warn("a repository cache is damaged and is built anew", {
      repo,
      error: String(error),
    });
    await place.cacheScratch.discard(place.cache.path(repo));
    await place.cache.refresh(repo);
    return await work();
  }
}
