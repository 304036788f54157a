import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import PQueue from "p-queue";
import { GitFailure } from "../ports/git.ts";
import type { Log } from "../ports/observe.ts";
import { isRealDirectory } from "./clone-files.ts";
import { wrapped } from "./failure.ts";
import { repoParts } from "./names.ts";
import { type RefTable, readRefs } from "./ref-table.ts";
import { type GitRemote, isCorrupt, type RunGit } from "./run-git.ts";
import { hasSoundPacks } from "./sound-packs.ts";
import type { Scratch } from "./trash.ts";

/** The service's own bare copies: `<root>/<owner>/<name>.git` with `refs/remotes/origin/*`. */
export interface Cache {
  /** Path of a repository's cache, whether it exists or not. */
  path(repo: string): string;
  /**
   * Brings the cache to the state of the remote as it is after this call began. Callers that come
   * while a fetch waits share it, so that eight callers cost at most two fetches. A cache that is
   * missing, half-made or damaged is built anew. @throws GitFailure
   */
  refresh(repo: string): Promise<FreshCache>;
  /**
   * The same, unless the last refresh is younger than `maxAgeMs`; the path only, for a push may have
   * changed the refs since. @throws GitFailure
   */
  recent(repo: string, maxAgeMs: number): Promise<string>;
  /**
   * One piece of work at a time per repository: what writes refs, or copies objects. `refs`: as the
   * last refresh left them, null before the first; all they stand at is in the cache.
   */
  exclusive<T>(repo: string, work: (path: string, refs: RefTable | null) => Promise<T>): Promise<T>;
}

/** A cache as a refresh left it: its path, and all its refs. */
interface FreshCache {
  readonly path: string;
  readonly refs: RefTable;
}

interface RepoState {
  readonly queue: PQueue;
  waiting: Promise<FreshCache> | null;
  fetchedAt: number | null;
  refs: RefTable | null;
}

const FETCH_TIMEOUT_MS = 600_000;
const PACKS_MAX = 40;
const KEPT_REFS_MAX = 200;
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
 * `remote(repo)` gives address and credential of the fetches. Refs: `refs/remotes/origin/*` mirror
 * the remote, `refs/claude-hooks/<run>` keep commits of runs, `refs/incoming/*`, `refs/prepared/*`
 * and `refs/read-only/*` are the adapter's own.
 */
export function createCache(options: {
  readonly root: string;
  readonly git: RunGit;
  readonly scratch: Scratch;
  readonly remote: (repo: string) => GitRemote;
  readonly now: () => number;
  readonly log: Log;
}): Cache {
  const { root, git, scratch, remote, now, log } = options;
  const states = new Map<string, RepoState>();
  const path = (repo: string): string => {
    const { owner, name } = repoParts(repo);
    return join(root, owner, `${name}.git`);
  };
  const stateOf = (repo: string): RepoState => {
    const known = states.get(repo);
    if (known !== undefined) return known;
    const queue = new PQueue({ concurrency: 1 });
    const fresh = { queue, waiting: null, fetchedAt: null, refs: null };
    states.set(repo, fresh);
    return fresh;
  };

  const bringUpToDate = async (repo: string, isFirst: boolean): Promise<RefTable> => {
    const cache = path(repo);
    if (isFirst) await removeStaleLocks(cache);
    if (!(await isWhole(cache))) return await build(repo, cache);
    if (isFirst && !(await hasSoundPacks(cache))) {
      log.warn("a repository cache has a damaged pack and is built anew", { repo });
      return await build(repo, cache);
    }
    try {
      await fetchAll(git, cache, remote(repo));
      const refs = await readRefs(git, cache);
      await tidy(git, cache, refs);
      return refs;
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      log.warn("a repository cache is damaged and is built anew", { repo, error: String(error) });
      return await build(repo, cache);
    }
  };
  const build = async (repo: string, cache: string): Promise<RefTable> => {
    const fresh = join(await scratch.make(), "cache.git");
    await git({ args: ["init", "--quiet", "--bare", "--template=", fresh], cwd: root });
    await writeFile(join(fresh, "HEAD"), "ref: refs/heads/none\n");
    await writeFile(join(fresh, "config"), CONFIG);
    await fetchAll(git, fresh, remote(repo));
    await rescue(repo, cache, fresh);
    await scratch.discard(cache);
    await mkdir(dirname(cache), { recursive: true, mode: 0o700 });
    await rename(fresh, cache);
    await rm(dirname(fresh), { recursive: true, force: true });
    return await readRefs(git, cache);
  };
  const rescue = async (repo: string, from: string, to: string): Promise<void> => {
    if (!(await exists(from))) return;
    try {
      const ours = ["claude-hooks", "prepared", "read-only"];
      const refspecs = ours.map((name) => `+refs/${name}/*:refs/${name}/*`);
      await git({ args: [...FETCH, "--", from, ...refspecs], cwd: to });
    } catch (error) {
      log.warn("kept commits could not be rescued", { repo, error: String(error) });
    }
  };

  const refresh = async (repo: string): Promise<FreshCache> => {
    const state = stateOf(repo);
    state.waiting ??= state.queue.add(async () => {
      await Promise.resolve(); // an idle queue starts the task before add() has returned
      state.waiting = null;
      await mkdir(root, { recursive: true, mode: 0o700 });
      const refs = await asDisk(() => bringUpToDate(repo, state.fetchedAt === null));
      state.fetchedAt = now();
      state.refs = refs;
      return { path: path(repo), refs };
    });
    return await state.waiting;
  };
  return {
    path,
    refresh,
    recent: async (repo, maxAgeMs) => {
      const at = stateOf(repo).fetchedAt;
      if (at === null || now() - at >= maxAgeMs || now() < at) await refresh(repo);
      return path(repo);
    },
    exclusive: async (repo, work) => {
      const state = stateOf(repo);
      return await state.queue.add(() => work(path(repo), state.refs));
    },
  };
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

/** Errors of the file system during `work` become GitFailure `disk`. */
async function asDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GitFailure) throw error;
    throw wrapped("disk", `the repository cache cannot be written: ${String(error)}`, error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
