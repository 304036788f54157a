import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ItemRef } from "../domain/snapshot.ts";
import { type CloneUse, GitFailure } from "../ports/git.ts";
import { findClone } from "./find-clone.ts";
import { keep } from "./inspect.ts";
import { clonePath, itemPath } from "./names.ts";
import { type Place, removedRun } from "./place.ts";
import { dropIndex } from "./prepared-index.ts";

/**
 * Removes every clone of a work item: the directory is renamed away at once and deleted then, so
 * that a killed removal leaves no half clone. Waits for the end of what works in one of them.
 * @returns how many clones there were.
 * @throws GitFailure `broken` when the directory does not really lie in the work directory,
 * `timeout` when a clone stays in use.
 */
export async function removeClones(place: Place, item: ItemRef): Promise<number> {
  const path = itemPath(place.workRoot, item);
  const real = await findClone(place.workRoot, path);
  if (real === null) return 0;
  const clones = (await readdir(real, { withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  );
  const taken: CloneUse[] = [];
  try {
    for (const { name } of clones) taken.push(await place.uses.take(join(path, name)));
    await place.workScratch.discard(real);
    for (const { name } of clones) await forgetIndex(place, { item, agent: name });
  } finally {
    for (const use of taken) use.release();
  }
  return clones.length;
}

/**
 * Removes one clone to make room, unless it is in use: commits of its agent that no remote has are
 * kept in the cache, and the next clone is told of them. @returns whether it was removed. @throws GitFailure
 */
export async function removeClone(
  place: Place,
  at: { readonly item: ItemRef; readonly agent: string },
): Promise<boolean> {
  const path = clonePath(place.workRoot, at.item, at.agent);
  const use = place.uses.tryTake(path);
  if (use === null) return false;
  try {
    const real = await findClone(place.workRoot, path);
    if (real === null) return true;
    await keepCommits(place, at);
    await forgetIndex(place, at);
    return await place.workScratch.discard(real);
  } finally {
    use.release();
  }
}

async function forgetIndex(
  place: Place,
  { item, agent }: { readonly item: ItemRef; readonly agent: string },
): Promise<void> {
  await dropIndex(place.cache.path(item.repo), `${agent}-${item.number}`);
}

/** A clone that cannot be read has nothing that could be kept. */
async function keepCommits(
  place: Place,
  { item, agent }: { readonly item: ItemRef; readonly agent: string },
): Promise<void> {
  try {
    await keep(place, { item, agent }, removedRun(agent, item.number));
  } catch (error) {
    if (!(error instanceof GitFailure) || error.kind !== "broken") throw error;
    place.log.warn("the commits of a clone could not be kept", { ...item, agent });
  }
}
