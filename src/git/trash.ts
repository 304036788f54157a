import { chmod, lstat, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../ports/observe.ts";

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
        await rename(path, join(holder, "gone"));
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      } finally {
        await removeTree(holder, log);
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
    for (const name of await readdir(directory)) await removeTree(join(directory, name), log);
  }
}

/** Deletes without following links. What cannot be deleted stays in the trash until the next start. */
async function removeTree(path: string, log: Log): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    try {
      await openUp(path);
      await rm(path, { recursive: true, force: true });
    } catch (error) {
      log.warn("a removed directory could not be deleted", { path, error: String(error) });
    }
  }
}

/** An agent may have taken its own rights away from directories; give them back. */
async function openUp(path: string): Promise<void> {
  const found = await lstat(path);
  if (!found.isDirectory()) return;
  await chmod(path, 0o700);
  for (const name of await readdir(path)) await openUp(join(path, name));
}
