import { constants, copyFile, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { GitFailure } from "../ports/git.ts";
import type { RefTable } from "./ref-table.ts";
import { SEARCH_PATH } from "./run-git.ts";

/**
 * Where origin points in a clone: nothing an agent could fetch from or push to. Git says
 * "'/dev/null/…' does not appear to be a git repository", which names the way to do it.
 */
const ORIGIN = "/dev/null/claude-hooks-pushes-for-you";

/** What `git init` makes, too, but for templates. */
const DIRECTORIES = ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"];

/** Files above this are copied by a process. */
const LARGE_BYTES = 4 * 1024 * 1024;
const STDERR_MAX = 400;

/** What the `.git` directory of a clone is made of. */
export interface GitDirectoryOrder {
  readonly cache: string;
  /** Of the cache. */
  readonly refs: RefTable;
  /** The `.git` directory to make; its parent exists. */
  readonly path: string;
  readonly identity: { readonly name: string; readonly email: string };
  /** Commit to stand at. */
  readonly head: string;
  /** Local branch at `head`; null: detached. */
  readonly branch: string | null;
}

/**
 * Makes a whole new `.git` from the cache: copied objects (copied, not hard links: an agent could
 * write through a shared inode into the cache; file systems that can, share the blocks), the remote
 * branches as refs, our configuration, no hooks. Call it inside `cache.exclusive`.
 *
 * No git runs here. To git a directory is a repository when it has a well-formed `HEAD` and the
 * directories `objects` and `refs` (setup.c, is_git_directory); a repository of format 0 keeps its
 * refs as files, and a local branch may stand in `packed-refs` alone, whose lines are sorted by name
 * (`refs/heads/…` before `refs/remotes/…`). `git fsck --strict` of git 2.39 has nothing against it.
 * @throws GitFailure
 */
export async function buildGitDirectory(order: GitDirectoryOrder): Promise<void> {
  const { cache, refs, path, identity, head, branch } = order;
  for (const directory of DIRECTORIES) await mkdir(join(path, directory), { recursive: true });
  await copyObjectStore(join(cache, "objects"), join(path, "objects"));
  const own = branch === null ? "" : `${head} refs/heads/${branch}\n`;
  const packed = `# pack-refs with: sorted \n${own}${refs.packedBranches()}`;
  await writeFile(join(path, "packed-refs"), packed);
  await writeFile(join(path, "config"), configText(identity));
  await writeFile(join(path, "HEAD"), `${branch === null ? head : `ref: refs/heads/${branch}`}\n`);
}

async function copyObjectStore(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === "info") continue;
    const target = join(to, entry.name);
    await mkdir(target, { recursive: true });
    const large: string[] = [];
    for (const name of await readdir(join(from, entry.name))) {
      if (name.startsWith("tmp_") || name.startsWith(".")) continue;
      const path = join(from, entry.name, name);
      if ((await stat(path)).size > LARGE_BYTES) large.push(path);
      else await copyFile(path, join(target, name), constants.COPYFILE_FICLONE);
    }
    if (large.length > 0) await copyInProcess(large, target);
  }
}

/** As with removing (remove-tree.ts), a large copy would hold a thread that the database needs. */
async function copyInProcess(paths: readonly string[], directory: string): Promise<void> {
  const args = ["--reflink=auto", "--", ...paths, `${directory}/`];
  const copied = await execa("cp", args, {
    env: { PATH: SEARCH_PATH, LC_ALL: "C" },
    extendEnv: false,
    reject: false,
    stdin: "ignore",
  });
  if (copied.exitCode === 0) return;
  const kind = /No space left|Disk quota/i.test(copied.stderr) ? "disk" : "broken";
  throw new GitFailure(kind, `a pack could not be copied: ${copied.stderr.slice(0, STDERR_MAX)}`);
}

function configText(identity: { readonly name: string; readonly email: string }): string {
  return `[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	logallrefupdates = true
[remote "origin"]
	url = ${ORIGIN}
	fetch = +refs/heads/*:refs/remotes/origin/*
[user]
	name = ${quoted(identity.name)}
	email = ${quoted(identity.email)}
[commit]
	gpgSign = false
[gc]
	auto = 0
`;
}

function quoted(value: string): string {
  if (/[\n\r\0]/.test(value))
    throw new GitFailure("broken", "the git identity of an agent holds a line break");
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}
