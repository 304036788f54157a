import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import PQueue from "p-queue";
import type { Workspace } from "../ports/git.ts";
import type { Log } from "../ports/observe.ts";
import type { Cache } from "./cache.ts";
import { repoParts } from "./names.ts";
import { removeTree } from "./remove-tree.ts";
import type { RunGit } from "./run-git.ts";
import type { Scratch } from "./trash.ts";

/**
 * Work trees that wait for a clone: the files of a commit with the index that knows them, without a
 * `.git`, in `<work>/.spare/<owner>/<name>`, where only the service writes. A fresh clone takes one
 * by renaming it and has only those files written that differ.
 *
 * One for each repository that a fresh clone was made of in the life of this process; those of an
 * earlier life are removed, because their files were never synced to the disk: after a power cut an
 * index could vouch for content that did not get there.
 */
export interface Spares {
  /** Does the work of a prepare. No spare of the repository is begun before all of them have ended. */
  around(repo: string, work: () => Promise<Workspace>): Promise<Workspace>;
  /**
   * Hands the spare out, to one caller only; null when there is none that can stand for a checkout of
   * the commit. The caller removes what is left of it. What goes wrong is logged: this never rejects.
   */
  take(repo: string, commit: string): Promise<Spare | null>;
  /** Removes the spare to make room; false when there was none. @throws GitFailure for a wrong name */
  remove(repo: string): Promise<boolean>;
  /** From now on spares are made only where this says yes; asked before and after one is made. */
  allow(isAllowed: (repo: string) => boolean): void;
  /** Ends what goes on in the background and begins nothing more. */
  close(): Promise<void>;
}

/** A work tree and the index that knows it. */
export interface Spare {
  /** Directory of the two, the caller's own. */
  readonly path: string;
  readonly tree: string;
  readonly index: string;
}

const SPARE = ".spare";
/** A repository's owner cannot begin with a dot. */
const HALF = ".new-";
const SPARES_MAX = 8;
/** Git compares whole seconds: an index written in a later one than its files need not read them again. */
const SETTLE_MS = 1_100;
/** Names of changed files between a spare and the commit that is wanted. */
const CHANGED_BYTES_MAX = 1024 * 1024;

/** Where spares are kept, and what they are made with. */
interface SparesOptions {
  readonly workRoot: string;
  readonly git: RunGit;
  readonly cache: Cache;
  readonly scratch: Scratch;
  /** How long after a prepare its repository's spare is made, in ms; null: never. */
  readonly afterMs: number | null;
  readonly log: Log;
}

/** The spares below `workRoot`; at first there are none. */
export function createSpares(options: SparesOptions): Spares {
  const { workRoot, git, cache, afterMs, log } = options;
  const root = join(workRoot, SPARE);
  const whole = keepWhole({ ...options, root });
  const queue = new PQueue({ concurrency: 1 });
  const ending = new AbortController();
  const wanted = new Map<string, string>();
  const busy = new Map<string, number>();
  const failed = new Set<string>();
  let isAllowed = (_repo: string): boolean => true;

  const make = async (repo: string, commit: string): Promise<void> => {
    const half = await mkdtemp(join(root, HALF));
    try {
      await checkOutSettled(git, { cache: cache.path(repo), half, commit, signal: ending.signal });
      if (!isAllowed(repo)) return;
      await whole.put(repo, { half, commit });
      failed.delete(repo);
    } finally {
      await removeTree(half);
    }
  };
  /** A prepare that goes on asks again at its end. */
  const fill = async (repo: string): Promise<void> => {
    try {
      await whole.swept();
      const commit = wanted.get(repo);
      if (commit === undefined || busy.has(repo) || ending.signal.aborted) return;
      wanted.delete(repo);
      if (!whole.has(repo) && isAllowed(repo)) await make(repo, commit);
    } catch (error) {
      if (ending.signal.aborted || failed.has(repo)) return;
      failed.add(repo);
      log.warn("a spare work tree cannot be made", { repo, error: String(error) });
    }
  };
  const fillLater = (repo: string): void => {
    if (afterMs === null || ending.signal.aborted) return;
    const begin = (): void => {
      if (!ending.signal.aborted) void queue.add(() => fill(repo));
    };
    setTimeout(begin, afterMs).unref();
  };

  return {
    around: async (repo, work) => {
      busy.set(repo, (busy.get(repo) ?? 0) + 1);
      try {
        const made = await work();
        if (made.fresh) wanted.set(repo, made.baseSha);
        return made;
      } finally {
        const others = (busy.get(repo) ?? 1) - 1;
        if (others > 0) busy.set(repo, others);
        else busy.delete(repo);
        // Also when nothing is wanted: what an earlier life left is removed then.
        if (others <= 0) fillLater(repo);
      }
    },
    take: whole.take,
    remove: whole.remove,
    allow: (rule) => {
      isAllowed = rule;
    },
    close: async () => {
      ending.abort();
      await queue.onIdle();
    },
  };
}

/** The spares that are whole: at their places on the disk, and of which commit each is. */
interface Whole extends Pick<Spares, "take" | "remove"> {
  /** Resolves when those of an earlier life are removed; they never were in here. */
  swept(): Promise<void>;
  has(repo: string): boolean;
  /** Puts what was made to its place by one rename; of too many the oldest gives way. */
  put(repo: string, made: { readonly half: string; readonly commit: string }): Promise<void>;
}

function keepWhole(
  parts: Pick<SparesOptions, "git" | "cache" | "scratch" | "log"> & { readonly root: string },
): Whole {
  const { root, git, cache, scratch, log } = parts;
  const whole = new Map<string, { readonly path: string; readonly commit: string }>();
  let isSwept = false;

  const remove = async (repo: string): Promise<boolean> => {
    const { owner, name } = repoParts(repo);
    whole.delete(repo);
    return await scratch.discard(join(root, owner, name));
  };
  return {
    remove,
    has: (repo) => whole.has(repo),
    swept: async () => {
      if (isSwept) return;
      await mkdir(root, { recursive: true, mode: 0o700 });
      for (const name of await readdir(root)) await scratch.discard(join(root, name));
      isSwept = true;
    },
    put: async (repo, { half, commit }) => {
      for (const oldest of whole.keys()) if (whole.size >= SPARES_MAX) await remove(oldest);
      await remove(repo);
      const path = join(root, repo);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(half, path);
      whole.set(repo, { path, commit });
    },
    take: async (repo, commit) => {
      const spare = whole.get(repo);
      if (spare === undefined) return null;
      whole.delete(repo);
      let path: string | null = null;
      try {
        path = await scratch.make();
        await rename(spare.path, path);
        const between = { cache: cache.path(repo), from: spare.commit, to: commit };
        if (await isFit(git, between)) {
          return { path, tree: join(path, "tree"), index: join(path, "index") };
        }
      } catch (error) {
        log.warn("a spare work tree cannot be used", { repo, error: String(error) });
      }
      if (path !== null) await rm(path, { recursive: true, force: true });
      return null;
    },
  };
}

/**
 * Checks the commit out from the cache into `half`/tree with the index `half`/index, and once more a
 * second later: then nothing is left that git would have to read again, and all was seen whole.
 */
async function checkOutSettled(
  git: RunGit,
  at: {
    readonly cache: string;
    readonly half: string;
    readonly commit: string;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { cache, half, commit, signal } = at;
  const tree = join(half, "tree");
  await mkdir(tree, { mode: 0o700 });
  const env = { GIT_DIR: cache, GIT_WORK_TREE: tree, GIT_INDEX_FILE: join(half, "index") };
  const call = { args: ["read-tree", "--reset", "-u", commit], cwd: tree, env, signal };
  await git(call);
  await wait(SETTLE_MS, undefined, { signal, ref: false });
  await git(call);
}

/**
 * Whether writing the files that differ makes the tree of `from` one of `to`. Changed attributes may
 * change how files are written that are the same in both, so with them it does not.
 */
async function isFit(
  git: RunGit,
  { cache, from, to }: { readonly cache: string; readonly from: string; readonly to: string },
): Promise<boolean> {
  if (from === to) return true;
  const changed = await git({
    args: ["diff-tree", "-r", "-z", "--name-only", from, to],
    cwd: cache,
    outputBytes: CHANGED_BYTES_MAX,
  });
  const names = changed.stdout.split("\0");
  return !changed.truncated && !names.some((name) => /(?:^|\/)\.gitattributes$/u.test(name));
}
