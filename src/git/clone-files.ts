import { constants, type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { GitFailure } from "../ports/git.ts";
import { wrapped } from "./failure.ts";
import { isSha } from "./names.ts";
import { isMissing } from "./trash.ts";

/**
 * Reads and writes single files of a directory an agent can write, while it may be writing. Every
 * file is opened without following a final link, must be a plain file, and the kernel's own name
 * of what was opened (/proc/self/fd) must be the path that was meant: a directory on the way that
 * was swapped for a link shows there. Linux only, as the jail is.
 */

const REF_BYTES_MAX = 4096;
const PACKED_REFS_BYTES_MAX = 16 * 1024 * 1024;

/** Opens a plain file below `root` (a real path), or null when there is none. @throws GitFailure */
export async function openInside(root: string, relative: string): Promise<FileHandle | null> {
  const path = join(root, relative);
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error) || hasCode(error, "ENOTDIR")) return null;
    throw wrapped("broken", `${path} in the clone cannot be read`, error);
  }
  try {
    const isPlain = (await handle.stat()).isFile();
    if (!isPlain || (await readlink(fdPath(handle))) !== path) throw notPlain(path);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** @returns the text of a plain file below `root`, or null. @throws GitFailure when over `bytes`. */
async function readInside(root: string, relative: string, bytes: number): Promise<string | null> {
  const handle = await openInside(root, relative);
  if (handle === null) return null;
  try {
    if ((await handle.stat()).size > bytes)
      throw new GitFailure("broken", `${relative} in the clone is larger than ${bytes} bytes`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** The kernel's path of an open file or directory; usable as a path for what lies in it. */
export function fdPath(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

/**
 * Opens a directory below `root`, making what is missing on the way when `make` says so; each step
 * is taken from the directory opened before, so no link is followed. @throws GitFailure
 */
export async function openDirectory(
  root: string,
  parts: readonly string[],
  make: (path: string) => Promise<void>,
): Promise<FileHandle> {
  let at = await openStep(root);
  try {
    for (const part of parts) {
      const path = join(fdPath(at), part);
      await make(path);
      const next = await openStep(path);
      await at.close();
      at = next;
    }
    if ((await readlink(fdPath(at))) !== join(root, ...parts)) throw notPlain(join(root, ...parts));
    return at;
  } catch (error) {
    await at.close();
    throw error;
  }
}

/**
 * The commit HEAD of the clone stands at, read without running git there; null before the first
 * commit. `root`: real path of the clone. @throws GitFailure when its `.git` is no plain one.
 */
export async function readHead(root: string): Promise<string | null> {
  if (!(await isRealDirectory(join(root, ".git"))))
    throw new GitFailure("broken", `${root} has no .git directory of its own`);
  const head = (await readInside(root, ".git/HEAD", REF_BYTES_MAX))?.trim();
  if (head === undefined) throw new GitFailure("broken", `${root} has no HEAD`);
  if (isSha(head)) return head;
  const ref = /^ref: (refs\/heads\/[^\s\\]+)$/.exec(head)?.[1];
  if (ref === undefined || ref.split("/").some((part) => part === "" || part.startsWith(".")))
    throw new GitFailure("broken", `HEAD of ${root} is neither a commit nor a branch`);
  const loose = (await readInside(root, `.git/${ref}`, REF_BYTES_MAX))?.trim();
  if (loose !== undefined) {
    if (!isSha(loose)) throw new GitFailure("broken", `${ref} of ${root} is not a commit`);
    return loose;
  }
  const packed = await readInside(root, ".git/packed-refs", PACKED_REFS_BYTES_MAX);
  const line = (packed ?? "").split("\n").find((one) => one.endsWith(` ${ref}`));
  const sha = line?.split(" ")[0];
  return sha !== undefined && isSha(sha) ? sha : null;
}

/** Names in a directory below `root`; [] when it is missing or no directory. */
export async function namesInside(root: string, relative: string): Promise<readonly string[]> {
  if (!(await isRealDirectory(join(root, relative)))) return [];
  try {
    return await readdir(join(root, relative));
  } catch (error) {
    throw wrapped("broken", `${relative} in the clone cannot be read`, error);
  }
}

/** Whether the path is a directory itself, not a link to one. */
export async function isRealDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function openStep(path: string): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  try {
    return await open(path, flags);
  } catch (error) {
    throw wrapped("broken", "the clone holds something else than a directory", error);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function notPlain(path: string): GitFailure {
  return new GitFailure("broken", `${path} in the clone is not a plain file; links are refused`);
}
