import { constants, copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GitFailure } from "../ports/git.ts";
import type { RunGit } from "./run-git.ts";

/**
 * Where origin points in a clone: nothing an agent could fetch from or push to. Git says
 * "'/dev/null/…' does not appear to be a git repository", which names the way to do it.
 */
const ORIGIN = "/dev/null/claude-hooks-pushes-for-you";

/** What the `.git` directory of a clone is made of. */
export interface GitDirectoryOrder {
  readonly git: RunGit;
  readonly cache: string;
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
 * @throws GitFailure
 */
export async function buildGitDirectory(order: GitDirectoryOrder): Promise<void> {
  const { git, cache, path, identity, head, branch } = order;
  await git({ args: ["init", "--quiet", "--bare", "--template=", path], cwd: cache });
  await copyObjectStore(join(cache, "objects"), join(path, "objects"));
  await mkdir(join(path, "info"), { recursive: true });
  const format = "%(objectname) %(refname)";
  const refs = await git({
    args: ["for-each-ref", `--format=${format}`, "refs/remotes/origin/"],
    cwd: cache,
  });
  await writeFile(join(path, "packed-refs"), `# pack-refs with: sorted \n${refs.stdout}`);
  await writeFile(join(path, "config"), configText(identity));
  if (branch === null) await writeFile(join(path, "HEAD"), `${head}\n`);
  else {
    await writeFile(join(path, "HEAD"), `ref: refs/heads/${branch}\n`);
    await git({
      args: ["update-ref", `refs/heads/${branch}`, head],
      cwd: path,
      env: { GIT_DIR: path },
    });
  }
}

async function copyObjectStore(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === "info") continue;
    await mkdir(join(to, entry.name), { recursive: true });
    for (const name of await readdir(join(from, entry.name))) {
      if (name.startsWith("tmp_") || name.startsWith(".")) continue;
      const relative = join(entry.name, name);
      await copyFile(join(from, relative), join(to, relative), constants.COPYFILE_FICLONE);
    }
  }
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
