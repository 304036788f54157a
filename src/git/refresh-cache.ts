import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Log } from "../ports/observe.ts";
import { isRealDirectory } from "./clone-files.ts";
import { type RefTable, readRefs } from "./ref-table.ts";
import { type GitRemote, isCorrupt, type RunGit } from "./run-git.ts";
import { hasSoundPacks } from "./sound-packs.ts";
import type { Scratch } from "./trash.ts";

/** What a cache is refreshed with. */
export interface RefreshParts {
  /** Directory of all caches; it exists. */
  readonly root: string;
  readonly git: RunGit;
  readonly scratch: Scratch;
  readonly remote: (repo: string) => GitRemote;
  readonly log: Log;
}

/** One cache: its repository and its path. */
interface Target {
  readonly repo: string;
  readonly cache: string;
}

const FETCH_TIMEOUT_MS = 600_000;
const PACKS_MAX = 40;
const KEPT_REFS_MAX = 200;
/** Above this a fresh cache keeps its refs in one file: git would read as many files at every look. */
const LOOSE_REFS_MAX = 100;
const KEPT_REFS = "refs/claude-hooks/";
/** An empty cache: no remote in it (the address is an argument), nothing that runs by itself. */
const CONFIG = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
[gc]
	auto = 0
[maintenance]
	auto = false
[fetch]
	unpackLimit = 1
`;

/**
 * Brings the cache of a repository to the state of the remote, and builds it anew when it is missing,
 * half-made or damaged; commits that only it has are taken over. `isFirst`: for the first time in this
 * process, so no git of ours works in it and what an earlier one left is looked at. Nobody else may
 * write to the cache meanwhile. @throws GitFailure, and what the file system says
 */
export async function refreshCache(
  parts: RefreshParts,
  target: Target & { readonly isFirst: boolean },
): Promise<RefTable> {
  const { git, remote, log } = parts;
  const { repo, cache, isFirst } = target;
  if (isFirst) await removeStaleLocks(cache);
  if (!(await isWhole(cache))) return await build(parts, target);
  if (isFirst && !(await hasSoundPacks(cache))) {
    log.warn("a repository cache has a damaged pack and is built anew", { repo });
    return await build(parts, target);
  }
  try {
    await fetchAll(git, cache, remote(repo));
    const refs = await readRefs(git, cache);
    await tidy(git, cache, refs);
    return refs;
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    log.warn("a repository cache is damaged and is built anew", { repo, error: String(error) });
    return await build(parts, target);
  }
}

/** Makes a whole cache beside the old one and puts it in its place by one rename. */
async function build(parts: RefreshParts, { repo, cache }: Target): Promise<RefTable> {
  const { root, git, scratch, remote } = parts;
  const fresh = join(await scratch.make(), "cache.git");
  await git({ args: ["init", "--quiet", "--bare", "--template=", fresh], cwd: root });
  await writeFile(join(fresh, "HEAD"), "ref: refs/heads/none\n");
  await writeFile(join(fresh, "config"), CONFIG);
  await fetchAll(git, fresh, remote(repo));
  await rescue(parts, { repo, cache }, fresh);
  const refs = await readRefs(git, fresh);
  if (refs.count("refs/") > LOOSE_REFS_MAX) await git({ args: ["pack-refs", "--all"], cwd: fresh });
  await scratch.discard(cache);
  await mkdir(dirname(cache), { recursive: true, mode: 0o700 });
  await rename(fresh, cache);
  await rm(dirname(fresh), { recursive: true, force: true });
  return refs;
}

/** Takes over what no remote has: the refs that are our own, as far as they can be read. */
async function rescue({ git, log }: RefreshParts, from: Target, to: string): Promise<void> {
  if (!(await exists(from.cache))) return;
  try {
    const ours = ["claude-hooks", "prepared", "read-only"];
    const refspecs = ours.map((name) => `+refs/${name}/*:refs/${name}/*`);
    await git({ args: [...FETCH, "--", from.cache, ...refspecs], cwd: to });
  } catch (error) {
    log.warn("kept commits could not be rescued", { repo: from.repo, error: String(error) });
  }
}

const FETCH = [
  "fetch",
  "--quiet",
  "--prune",
  "--no-tags",
  "--no-write-fetch-head",
  "--no-recurse-submodules",
] as const;

async function fetchAll(git: RunGit, cache: string, remote: GitRemote): Promise<void> {
  await git({
    args: [...FETCH, "--", remote.url, "+refs/heads/*:refs/remotes/origin/*"],
    cwd: cache,
    remote,
    timeoutMs: FETCH_TIMEOUT_MS,
  });
}

/** Housekeeping that `gc.auto=0` leaves to us: few packs, a bounded number of kept refs. */
async function tidy(git: RunGit, cache: string, refs: RefTable): Promise<void> {
  const packs = await readdir(join(cache, "objects", "pack"));
  if (packs.filter((name) => name.endsWith(".pack")).length > PACKS_MAX)
    await git({
      args: ["repack", "-a", "-d", "-k", "-q"],
      cwd: cache,
      timeoutMs: FETCH_TIMEOUT_MS,
    });
  if (refs.count(KEPT_REFS) <= KEPT_REFS_MAX) return;
  const format = ["--sort=-committerdate", "--format=delete %(refname)"];
  const kept = await git({ args: ["for-each-ref", ...format, KEPT_REFS], cwd: cache });
  const surplus = kept.stdout.split("\n").slice(KEPT_REFS_MAX).join("\n");
  if (surplus.trim() !== "")
    await git({ args: ["update-ref", "--stdin"], cwd: cache, input: surplus });
}

async function isWhole(cache: string): Promise<boolean> {
  const parts = ["HEAD", "config", "objects/pack"].map((part) => exists(join(cache, part)));
  return (await Promise.all(parts)).every(Boolean);
}

/** A git that was killed leaves its `*.lock`; at our first use no git of ours can be alive. */
async function removeStaleLocks(cache: string): Promise<void> {
  if (!(await isRealDirectory(cache))) return;
  const top = await readdir(cache);
  const refs = (await exists(join(cache, "refs")))
    ? await readdir(join(cache, "refs"), { recursive: true })
    : [];
  const locks = [...top, ...refs.map((name) => join("refs", name))].filter((name) =>
    name.endsWith(".lock"),
  );
  for (const name of locks) await rm(join(cache, name), { force: true });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
