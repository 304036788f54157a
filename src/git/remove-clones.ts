import { readdir } from "node:fs/promises";
import type { ItemRef } from "../domain/snapshot.ts";
import { findClone } from "./find-clone.ts";
import { itemPath } from "./names.ts";
import type { Place } from "./place.ts";

/**
 * Removes every clone of a work item: the directory is renamed away at once and deleted then, so
 * that a killed removal leaves no half clone. @returns how many clones there were.
 * @throws GitFailure `broken` when the directory does not really lie in the work directory.
 */
export async function removeClones(place: Place, item: ItemRef): Promise<number> {
  const path = itemPath(place.workRoot, item);
  const real = await findClone(place.workRoot, path);
  if (real === null) return 0;
  const clones = (await readdir(real, { withFileTypes: true })).filter((entry) =>
    entry.isDirectory(),
  );
  await place.workScratch.discard(real);
  return clones.length;
}
