import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import PQueue from "p-queue";
import { GitFailure } from "../ports/git.ts";
import { wrapped } from "./failure.ts";
import { repoParts } from "./names.ts";
import type { RefTable } from "./ref-table.ts";
import { type RefreshParts, refreshCache } from "./refresh-cache.ts";

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

/**
 * `remote(repo)` gives address and credential of the fetches. Refs: `refs/remotes/origin/*` mirror
 * the remote, `refs/claude-hooks/<run>` keep commits of runs, `refs/incoming/*`, `refs/prepared/*`
 * and `refs/read-only/*` are the adapter's own.
 */
export function createCache(options: RefreshParts & { readonly now: () => number }): Cache {
  const { root, now } = options;
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

  const refresh = async (repo: string): Promise<FreshCache> => {
    const state = stateOf(repo);
    state.waiting ??= state.queue.add(async () => {
      await Promise.resolve(); // an idle queue starts the task before add() has returned
      state.waiting = null;
      await mkdir(root, { recursive: true, mode: 0o700 });
      const target = { repo, cache: path(repo), isFirst: state.fetchedAt === null };
      const refs = await asDisk(() => refreshCache(options, target));
      state.fetchedAt = now();
      state.refs = refs;
      return { path: target.cache, refs };
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

/** Errors of the file system during `work` become GitFailure `disk`. */
async function asDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof GitFailure) throw error;
    throw wrapped("disk", `the repository cache cannot be written: ${String(error)}`, error);
  }
}
