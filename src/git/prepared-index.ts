import { copyFile, mkdir, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isMissing } from "./trash.ts";

/**
 * The index of a clone as our own checkout left it, kept in the cache, where no agent can write.
 * With it git needs to look only at the files that changed since: it knows the others by size, time
 * and inode. The time of the file is kept, too: git reads every file anew that is not older than its
 * index, and a file that the agent changes in the same second must be read. So a clone's second run
 * reads all files once more (of one that began with a spare those that differed from it), each later
 * one only those that changed (git compares whole seconds).
 */
export async function keepIndex(cache: string, clone: string, from: string): Promise<void> {
  const to = indexPath(cache, clone);
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await copyIndex(from, to);
}

/** Puts the kept index to `to`; false when there is none. */
export async function restoreIndex(cache: string, clone: string, to: string): Promise<boolean> {
  try {
    await copyIndex(indexPath(cache, clone), to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Forgets the index of a clone that is thrown away. */
export async function dropIndex(cache: string, clone: string): Promise<void> {
  await rm(indexPath(cache, clone), { force: true });
}

/** Copies an index with its time, by which git judges what it says of files. */
export async function copyIndex(from: string, to: string): Promise<void> {
  const { atime, mtime } = await stat(from);
  await copyFile(from, to);
  // Whole milliseconds, rounded down: an older index only makes git look at more files.
  await utimes(to, atime, new Date(Math.floor(mtime.getTime())));
}

/** `clone`: `<agent>-<number>`, both checked. */
function indexPath(cache: string, clone: string): string {
  return join(cache, "prepared-index", clone);
}
