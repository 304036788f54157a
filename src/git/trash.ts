import { mkdir, mkdtemp, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../ports/observe.ts";
import { openUp, removeTree } from "./remove-tree.ts";

/**
 * Half-made directories (`.new`) and removed ones (`.trash`) below one root, on the same file
 * system, so that a directory appears and disappears by one rename. No repository owner can have
 * these names: a leading dot is refused.
 */
export interface Scratch {
  /** A new, empty, private directory that nobody else sees. */
  make(): Promise<string>;
  /** Moves a directory away at once, then deletes it; false when it was not there. */
  discard(path: string): Promise<boolean>;
}

/** @returns the scratch places of `root`; what an earlier process left there is deleted first. */
export function createScratch(root: string, log: Log): Scratch {
  const fresh = join(root, ".new");
  const trash = join(root, ".trash");
  let swept: Promise<void> | null = null;
  const ready = (): Promise<void> => {
    swept ??= sweep([fresh, trash], log);
    return swept;
  };
  return {
    make: async () => {
      await ready();
      return await mkdtemp(join(fresh, "x-"));
    },
    discard: async (path) => {
      await ready();
      const holder = await mkdtemp(join(trash, "x-"));
      try {
        // A directory can only change its parent when it may be written itself.
        await openUp(path);
        await rename(path, join(holder, "gone"));
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      } finally {
        await removeOrTell(holder, log);
      }
      return true;
    },
  };
}

/** Whether an error of the file system says that there is nothing at that path. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

async function sweep(directories: readonly string[], log: Log): Promise<void> {
  for (const directory of directories) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(directory)) await removeOrTell(join(directory, name), log);
  }
}

/** What cannot be deleted stays in the trash until the next start. */
async function removeOrTell(path: string, log: Log): Promise<void> {
  try {
    await removeTree(path);
  } catch (error) {
    log.warn("a removed directory could not be deleted", { path, error: String(error) });
  }
}
