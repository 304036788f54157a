import { constants, copyFile, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GitFailure } from "../ports/git.ts";
import { fdPath, openDirectory } from "./clone-files.ts";
import { wrapped } from "./failure.ts";
import { checkBranch } from "./names.ts";
import type { Place } from "./place.ts";

/**
 * Gives a living clone newer commits of the remote as `origin/<branch>`, by adding a pack and refs
 * as files, without running git there and without following a link an agent may have planted.
 * `has`: a commit the clone has. @throws GitFailure
 */
export async function bringIntoClone(
  place: Place,
  order: {
    readonly repo: string;
    readonly root: string;
    readonly has: string;
    readonly branches: readonly { readonly name: string; readonly sha: string }[];
  },
): Promise<void> {
  const scratch = await place.cacheScratch.make();
  try {
    const input = [...order.branches.map(({ sha }) => sha), `^${order.has}`, ""].join("\n");
    await place.git({
      args: ["pack-objects", "--quiet", "--revs", join(scratch, "pack")],
      cwd: place.cache.path(order.repo),
      input,
    });
    await addPack(order.root, scratch);
    for (const { name, sha } of order.branches)
      await writeRef(order.root, `refs/remotes/origin/${checkBranch(name)}`, sha);
  } catch (error) {
    if (error instanceof GitFailure) throw error;
    throw wrapped("broken", `the clone ${order.root} cannot be written`, error);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The index goes last: git looks for `*.idx` only. */
async function addPack(root: string, from: string): Promise<void> {
  const names = (await readdir(from)).filter((name) => /^pack-[0-9a-f]+\.(?:pack|idx)$/.test(name));
  const directory = await openDirectory(root, [".git", "objects", "pack"], exists);
  try {
    for (const name of names.sort().reverse()) {
      const temporary = join(fdPath(directory), `tmp_${name}`);
      await rm(temporary, { force: true });
      await copyFile(join(from, name), temporary, constants.COPYFILE_EXCL);
      await rename(temporary, join(fdPath(directory), name));
    }
  } finally {
    await directory.close();
  }
}

async function writeRef(root: string, ref: string, sha: string): Promise<void> {
  const parts = dirname(ref).split("/");
  const directory = await openDirectory(root, [".git", ...parts], makeDirectory);
  try {
    const name = ref.slice(dirname(ref).length + 1);
    const temporary = join(fdPath(directory), `${name}.claude-hooks`);
    await rm(temporary, { force: true });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const file = await open(temporary, flags, 0o644);
    try {
      await file.writeFile(`${sha}\n`);
    } finally {
      await file.close();
    }
    await rename(temporary, join(fdPath(directory), name));
  } finally {
    await directory.close();
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

async function exists(): Promise<void> {
  await Promise.resolve();
}
