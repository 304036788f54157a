import { copyFile, constants as fileConstants, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GitFailure } from "../ports/git.ts";
import { fdPath, namesInside, openInside, readHead } from "./clone-files.ts";
import { wrapped } from "./failure.ts";
import type { RunGit } from "./run-git.ts";
import type { Scratch } from "./trash.ts";

const FILES_MAX = 100_000;
const BYTES_MAX = 1024 * 1024 * 1024;
const LOOSE_DIRECTORY = /^[0-9a-f]{2}$/;
const LOOSE_FILE = /^[0-9a-f]{38}(?:[0-9a-f]{24})?$/;
const PACK_FILE = /^pack-[0-9a-f]{40}(?:[0-9a-f]{24})?\.(?:pack|idx)$/;

/**
 * Brings the commit HEAD of a clone into the cache as `ref`, without running git in the clone:
 * HEAD is read as a file, objects the cache lacks are copied into a repository of our own with our
 * configuration, and the cache fetches from that, checking every object. So no configuration, hook,
 * attribute, alternate or link of the agent takes part. Call it inside `cache.exclusive`.
 *
 * `root`: real path of the clone. @returns the sha, null when HEAD has no commit. @throws GitFailure
 */
export async function takeCommits(order: {
  readonly git: RunGit;
  readonly cache: string;
  readonly root: string;
  readonly ref: string;
  readonly scratch: Scratch;
}): Promise<string | null> {
  const { git, cache, root, ref, scratch } = order;
  const head = await readHead(root);
  if (head === null) return null;
  const known = await git({
    args: ["cat-file", "-e", `${head}^{commit}`],
    cwd: cache,
    exits: [0, 1, 128],
  });
  if (known.exitCode === 0) {
    await git({ args: ["update-ref", ref, head], cwd: cache });
    return head;
  }
  const quarantine = await scratch.make();
  try {
    await git({ args: ["init", "--quiet", "--bare", "--template=", quarantine], cwd: cache });
    await mkdir(join(quarantine, "objects", "info"), { recursive: true });
    await writeFile(join(quarantine, "objects", "info", "alternates"), `${cache}/objects\n`);
    await copyObjects(root, cache, quarantine);
    await git({ args: ["update-ref", "refs/heads/taken", head], cwd: quarantine });
    await git({
      args: [
        ...["-c", "fetch.fsckObjects=true", "-c", "fetch.unpackLimit=100"],
        ...["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"],
        ...["--", quarantine, `+refs/heads/taken:${ref}`],
      ],
      cwd: cache,
    });
    return head;
  } catch (error) {
    if (error instanceof GitFailure && error.kind !== "broken") throw error;
    throw wrapped("broken", `the commits of the clone ${root} cannot be taken over`, error);
  } finally {
    await rm(quarantine, { recursive: true, force: true });
  }
}

async function copyObjects(root: string, cache: string, quarantine: string): Promise<void> {
  const wanted: string[] = [];
  for (const directory of await namesInside(root, ".git/objects")) {
    const isPack = directory === "pack";
    if (!isPack && !LOOSE_DIRECTORY.test(directory)) continue;
    for (const name of await namesInside(root, `.git/objects/${directory}`)) {
      if ((isPack ? PACK_FILE : LOOSE_FILE).test(name)) wanted.push(`${directory}/${name}`);
      if (wanted.length > FILES_MAX)
        throw new GitFailure("broken", `the clone holds more than ${FILES_MAX} object files`);
    }
  }
  let bytes = 0;
  for (const relative of wanted) {
    if (await isFile(join(cache, "objects", relative))) continue;
    const handle = await openInside(root, `.git/objects/${relative}`);
    if (handle === null) continue;
    try {
      bytes += (await handle.stat()).size;
      if (bytes > BYTES_MAX)
        throw new GitFailure("broken", `the clone holds more than ${BYTES_MAX} new bytes`);
      const target = join(quarantine, "objects", relative);
      await mkdir(dirname(target), { recursive: true });
      await copyFile(fdPath(handle), target, fileConstants.COPYFILE_FICLONE);
    } finally {
      await handle.close();
    }
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
