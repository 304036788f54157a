import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GitFailure, type WorkspaceOrder } from "../ports/git.ts";
import { buildGitDirectory } from "./build-git-directory.ts";
import { findClone } from "./find-clone.ts";
import type { Place } from "./place.ts";
import { copyIndex, keepIndex, restoreIndex } from "./prepared-index.ts";
import type { Spare } from "./spares.ts";

const NO_SPARE: Promise<Spare | null> = Promise.resolve(null);

/** Where the clone belongs, what is there, and the commit it shall stand at. */
export interface Standing {
  readonly path: string;
  readonly found: string | null;
  readonly headSha: string;
}

/**
 * Stands the clone at the commit, with a new `.git`. A found clone is made use of when it can be: an
 * agent may have left what no git can clear away (directories deeper than a path may be, closed ones),
 * then it is thrown away whole. A fresh one begins with the repository's spare when there is one.
 * @throws GitFailure
 */
export async function buildClone(
  place: Place,
  order: WorkspaceOrder,
  at: Standing,
): Promise<{ readonly path: string; readonly fresh: boolean }> {
  const { number, repo } = order.item;
  const who = { repo, number, agent: order.agent, run: order.run };
  if (at.found !== null) {
    try {
      return { path: await goOnIn(place, order, { ...at, found: at.found }), fresh: false };
    } catch (error) {
      const words = "a clone cannot be reset and is made anew";
      place.log.warn(words, { ...who, error: String(error) });
    }
  }
  const taking = place.spares.take(repo, at.headSha);
  try {
    return { path: await makeFresh(place, order, at, taking), fresh: true };
  } catch (error) {
    if ((await taking) === null) throw error;
    const words = "a spare work tree cannot be used and the clone is made without";
    place.log.warn(words, { ...who, error: String(error) });
    return { path: await makeFresh(place, order, at, NO_SPARE), fresh: true };
  }
}

async function goOnIn(
  place: Place,
  order: WorkspaceOrder,
  at: Standing & { readonly found: string },
): Promise<string> {
  const scratch = await place.workScratch.make();
  try {
    const directory = join(scratch, ".git");
    await buildGit(place, order, { directory, headSha: at.headSha });
    const index = join(directory, "index");
    const { cache, clone } = keptIndex(place, order);
    const git = gitIn(place, { directory, tree: at.found });
    if (!(await restoreIndex(cache, clone, index))) {
      await git(["read-tree", at.headSha]);
      await git(["update-index", "-q", "--refresh", "--ignore-submodules"], [0, 1]);
    }
    await git(["reset", "--quiet", "--hard", at.headSha]);
    await Promise.all([git(["clean", "-ffdq"]), keepIndex(cache, clone, index)]);
    await place.workScratch.discard(join(at.found, ".git"));
    await rename(directory, join(at.found, ".git"));
    return at.found;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Without a spare every file is written; with one, those that differ from it. Only we wrote to a spare,
 * so nothing in it has to be cleaned.
 */
async function makeFresh(
  place: Place,
  order: WorkspaceOrder,
  at: Standing,
  taking: Promise<Spare | null>,
): Promise<string> {
  const scratch = await place.workScratch.make();
  try {
    await buildGit(place, order, { directory: join(scratch, ".git"), headSha: at.headSha });
    const spare = await taking;
    const tree = spare?.tree ?? scratch;
    const directory = join(tree, ".git");
    const index = join(directory, "index");
    if (spare !== null) {
      await rename(join(scratch, ".git"), directory);
      await copyIndex(spare.index, index);
    }
    await gitIn(place, { directory, tree })(["reset", "--quiet", "--hard", at.headSha]);
    const { cache, clone } = keptIndex(place, order);
    await keepIndex(cache, clone, index);
    await place.workScratch.discard(at.path);
    await mkdir(dirname(at.path), { recursive: true, mode: 0o700 });
    await rename(tree, at.path);
    const path = await findClone(place.workRoot, at.path);
    if (path === null) throw new GitFailure("broken", `the clone ${at.path} vanished`);
    return path;
  } finally {
    const spare = await taking;
    if (spare !== null) await rm(spare.path, { recursive: true, force: true });
    await rm(scratch, { recursive: true, force: true });
  }
}

async function buildGit(
  place: Place,
  { item, identity, at, branch }: WorkspaceOrder,
  to: { readonly directory: string; readonly headSha: string },
): Promise<void> {
  await place.cache.exclusive(item.repo, async (cache, refs) => {
    if (refs === null)
      throw new GitFailure("broken", `the cache of ${item.repo} was not refreshed`);
    await buildGitDirectory({
      ...{ cache, refs, identity, path: to.directory, head: to.headSha },
      branch: at === null ? branch : null,
    });
  });
}

/** Where the index of this clone is kept between its runs. */
function keptIndex(
  place: Place,
  { item, agent }: WorkspaceOrder,
): { readonly cache: string; readonly clone: string } {
  return { cache: place.cache.path(item.repo), clone: `${agent}-${item.number}` };
}

/** Our git directory, the clone's work tree: no driver is configured, so no attribute runs one. */
function gitIn(
  place: Place,
  { directory, tree }: { readonly directory: string; readonly tree: string },
): (args: readonly string[], exits?: readonly number[]) => Promise<unknown> {
  const env = { GIT_DIR: directory, GIT_WORK_TREE: tree };
  return async (args, exits = [0]) => await place.git({ args, cwd: tree, env, exits });
}
