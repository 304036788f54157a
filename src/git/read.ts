import { type CommitLine, GitFailure } from "../ports/git.ts";
import { isSha } from "./names.ts";
import type { Place } from "./place.ts";
import { branchSha, hasCommit, RECENT_MS, resolve } from "./refs.ts";

const PATH_CHARACTERS_MAX = 1024;

/**
 * Text of a plain file at a branch or commit of the remote, cut at `bytes`; null when the branch,
 * the commit or the file is not there, or the path names a link or a directory. @throws GitFailure
 */
export async function readBase(
  place: Place,
  at: { readonly repo: string; readonly branch: string; readonly path: string },
  bytes: number,
): Promise<string | null> {
  checkPath(at.path);
  const cache = await place.cache.recent(at.repo, RECENT_MS);
  const sha = isSha(at.branch)
    ? (await hasCommit(place.git, cache, at.branch))
      ? at.branch
      : null
    : await branchSha(place.git, cache, at.branch);
  if (sha === null) return null;
  const listed = await place.git({ args: ["ls-tree", "-z", sha, "--", at.path], cwd: cache });
  const [, kind, blob, path] = /^(\d+) blob ([0-9a-f]+)\t([^\0]*)\0$/.exec(listed.stdout) ?? [];
  if (blob === undefined || path !== at.path || !kind?.startsWith("100")) return null;
  const text = await place.git({
    args: ["cat-file", "blob", blob],
    cwd: cache,
    outputBytes: bytes,
  });
  return wholeCharacters(text);
}

/** Unified diff of base...head (branches of the remote or shas), cut at `bytes`. @throws GitFailure */
export async function diff(
  place: Place,
  of: { readonly repo: string; readonly base: string; readonly head: string },
  bytes: number,
): Promise<string> {
  const [base, head] = [
    await resolve(place, of.repo, of.base),
    await resolve(place, of.repo, of.head),
  ];
  const text = await place.git({
    args: [
      "diff",
      "--no-color",
      "--no-ext-diff",
      "--no-textconv",
      "--ignore-submodules=none",
      `${base}...${head}`,
      "--",
    ],
    cwd: place.cache.path(of.repo),
    outputBytes: bytes,
  });
  return wholeCharacters(text);
}

/** Commits of from..to, newest first, at most `count`; empty when one of them is not there. @throws GitFailure */
export async function log(
  place: Place,
  of: { readonly repo: string; readonly from: string; readonly to: string },
  count: number,
): Promise<readonly CommitLine[]> {
  const cache = await place.cache.recent(of.repo, RECENT_MS);
  for (const sha of [of.from, of.to]) {
    if (!isSha(sha) || !(await hasCommit(place.git, cache, sha))) return [];
  }
  const format = "--format=%H%x00%an%x00%s%x00";
  const listed = await place.git({
    args: ["log", `--max-count=${count}`, format, "--end-of-options", `${of.from}..${of.to}`, "--"],
    cwd: cache,
  });
  return listed.stdout.split("\n").flatMap((line) => {
    const [sha = "", author = "", subject = ""] = line.split("\0");
    return isSha(sha) ? [{ sha, author, subject }] : [];
  });
}

/** Whether merging head into base conflicts; branches of the remote or shas. @throws GitFailure */
export async function conflicts(
  place: Place,
  of: { readonly repo: string; readonly base: string; readonly head: string },
): Promise<boolean> {
  const [base, head] = [
    await resolve(place, of.repo, of.base),
    await resolve(place, of.repo, of.head),
  ];
  const merged = await place.git({
    args: ["merge-tree", "--write-tree", "--no-messages", "--name-only", base, head],
    cwd: place.cache.path(of.repo),
    exits: [0, 1],
  });
  return merged.exitCode === 1;
}

function checkPath(path: string): void {
  const parts = path.split("/");
  const isBad =
    path.length > PATH_CHARACTERS_MAX ||
    parts.some((part) => part === "" || part === "." || part === "..") ||
    path.includes("\0");
  if (isBad)
    throw new GitFailure("broken", `${JSON.stringify(path.slice(0, 120))} is not a path in a tree`);
}

/** A cut may fall inside a character; its half is left out. */
function wholeCharacters(text: { readonly stdout: string; readonly truncated: boolean }): string {
  return text.truncated ? text.stdout.replace(/\uFFFD{1,3}$/, "") : text.stdout;
}
