import { GitFailure, type Workspace, type WorkspaceOrder } from "../ports/git.ts";
import { buildClone } from "./build-clone.ts";
import { isRealDirectory } from "./clone-files.ts";
import { findClone } from "./find-clone.ts";
import { type Known, keepLocal, keptAtRemoval } from "./keep-local.ts";
import { checkBranch, checkRun, checkSha, clonePath } from "./names.ts";
import { type Place, preparedRef, readOnlyRef } from "./place.ts";
import { dropIndex } from "./prepared-index.ts";
import type { RefTable } from "./ref-table.ts";
import { ensureCommit } from "./refs.ts";
import { isCorrupt } from "./run-git.ts";

/**
 * Makes or finds the clone of (agent, work item) and stands it at the remote state. The `.git` of a
 * found clone is not cleaned but replaced by a new one, made in a place the agent cannot write:
 * whatever was planted in it is gone before any git looks at it. Files of the work tree that the
 * repository ignores (build output, installed packages) stay. A clone that goes on costs five
 * processes: fetch, for-each-ref, reset, clean, and beside them update-ref when something changed.
 * @throws GitFailure
 */
export async function prepare(place: Place, order: WorkspaceOrder): Promise<Workspace> {
  checkBranch(order.base);
  checkBranch(order.branch);
  checkRun(order.run);
  if (order.at !== null) checkSha(order.at);
  const { repo } = order.item;
  const path = clonePath(place.workRoot, order.item, order.agent);
  const { refs } = await place.cache.refresh(repo);
  const baseSha = refs.branch(order.base);
  if (baseSha === null) throw new GitFailure("no_base", `${repo} has no branch ${order.base}`);
  const remoteSha = refs.branch(order.branch);
  if (order.at !== null && !refs.standsAt(order.at)) await ensureCommit(place, repo, order.at);
  const headSha = order.at ?? remoteSha ?? baseSha;
  const found = await foundFor(place, order, { path, refs });
  const known: Known = { refs, remote: remoteSha === null ? [baseSha] : [remoteSha, baseSha] };
  const kept =
    found === null
      ? await keptAtRemoval(place, order, known)
      : await keepLocal(place, order, found, known);
  const made = await withSoundCache(place, { repo, refs }, async (current) => {
    const noting = note(place, order, { refs: current, headSha });
    // A clone of a run that only reads is never taken for another one: it is marked before it is there.
    if (order.at !== null) await noting;
    const [built] = await whenBoth(buildClone(place, order, { path, found, headSha }), noting);
    return built;
  });
  return { ...made, headSha, baseSha, remoteSha, kept };
}

/** The clone to go on with; one that was made to be read only is thrown away unread. */
async function foundFor(
  place: Place,
  { item, agent }: WorkspaceOrder,
  at: { readonly path: string; readonly refs: RefTable },
): Promise<string | null> {
  const found = await findClone(place.workRoot, at.path);
  if (found === null || at.refs.sha(readOnlyRef(agent, item.number)) === null) return found;
  await place.workScratch.discard(found);
  await dropIndex(place.cache.path(item.repo), `${agent}-${item.number}`);
  return null;
}

/**
 * Writes down where the clone stands, and whether it is for reading only; what stands there already
 * costs nothing. Killed between this and the clone, in either order, a prepare leaves one that stands
 * elsewhere than noted: at worst the next one keeps commits once more than need be. A clone that was for
 * reading only is gone by now.
 */
async function note(
  place: Place,
  { item, agent, at }: WorkspaceOrder,
  { refs, headSha }: { readonly refs: RefTable; readonly headSha: string },
): Promise<void> {
  const prepared = preparedRef(agent, item.number);
  const readOnly = readOnlyRef(agent, item.number);
  const changes: string[] = [];
  if (refs.sha(prepared) !== headSha) changes.push(`update ${prepared} ${headSha}\n`);
  if (at !== null) changes.push(`update ${readOnly} ${headSha}\n`);
  else if (refs.sha(readOnly) !== null) changes.push(`delete ${readOnly}\n`);
  if (changes.length === 0) return;
  const cwd = place.cache.path(item.repo);
  await place.git({ args: ["update-ref", "--stdin"], cwd, input: changes.join("") });
}

/** Both, as Promise.all; but what fails does not leave the other one going on. */
async function whenBoth<A, B>(one: Promise<A>, other: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([one, other]);
  return [await one, await other];
}

/** A damaged cache shows when it is read, too; it is built anew once. `work` gets the refs it then has. */
async function withSoundCache<T>(
  place: Place,
  { repo, refs }: { readonly repo: string; readonly refs: RefTable },
  work: (refs: RefTable) => Promise<T>,
): Promise<T> {
  try {
    return await work(refs);
  } catch (error) {
    if (!isCorrupt(error) || !(await isRealDirectory(place.cache.path(repo)))) throw error;
    place.log.warn("a repository cache is damaged and is built anew", {
      repo,
      error: String(error),
    });
    await place.cacheScratch.discard(place.cache.path(repo));
    return await work((await place.cache.refresh(repo)).refs);
  }
}
