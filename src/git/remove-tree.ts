import { chmod, lstat, readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { SEARCH_PATH } from "./run-git.ts";

/** Names of directories on their way up; whoever made such names himself only makes the count longer. */
const LIFTED = ".claude-hooks-lifted-";

/**
 * Removes a file or a whole tree that an agent has made; nothing there is no error. Links are removed,
 * not followed. Neither taken-away rights (an agent that is not root can close its own directories)
 * nor paths longer than the kernel takes at once stand in the way. No process of the agent may live.
 * Throws what the file system says when something stays, e.g. a directory that belongs to another user.
 */
export async function removeTree(path: string): Promise<void> {
  if (!(await isDirectory(path))) return await rm(path, { force: true });
  await removeInProcess(path);
  // The patient way says what is really wrong.
  if (await isDirectory(path)) await removePatiently(path);
}

/** Gives a directory's owner every right to it again; anything else, or nothing, stays as it is. */
export async function openUp(path: string): Promise<void> {
  if (await isDirectory(path)) await chmod(path, 0o700);
}

/**
 * In a process of its own: `rm` of node:fs holds a thread of the runtime until the whole tree is gone,
 * and there are as few as processors (Bun: two on two, measured). Two large clones removed at once
 * would keep whatever else needs such a thread waiting, the sync of the database above all. What it
 * cannot remove it leaves.
 */
async function removeInProcess(path: string): Promise<void> {
  await execa("rm", ["-rf", "--", path], {
    env: { PATH: SEARCH_PATH, LC_ALL: "C" },
    extendEnv: false,
    reject: false,
    stdio: "ignore",
  });
}

/** Lifts every directory to the top before it is emptied, so that no path ever has more than three parts. */
async function removePatiently(top: string): Promise<void> {
  if (!(await isDirectory(top))) return await rm(top, { force: true });
  await openUp(top);
  let lifted = 0;
  const lift = async (path: string): Promise<void> => {
    await openUp(path);
    for (;;) {
      lifted += 1;
      try {
        return await rename(path, join(top, `${LIFTED}${lifted}`));
      } catch (error) {
        if (!isTaken(error)) throw error;
      }
    }
  };
  for (let names = await readdir(top); names.length > 0; names = await readdir(top)) {
    for (const name of names) {
      const path = join(top, name);
      if (!(await isDirectory(path))) {
        await unlink(path);
        continue;
      }
      await openUp(path);
      for (const inner of await readdir(path)) {
        if (await isDirectory(join(path, inner))) await lift(join(path, inner));
        else await unlink(join(path, inner));
      }
      await rmdir(path);
    }
  }
  await rmdir(top);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

const isTaken = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  ["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(String(error.code));
