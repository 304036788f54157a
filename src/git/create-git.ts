import { mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { Git } from "../ports/git.ts";
import type { Log } from "../ports/observe.ts";
import { createCache } from "./cache.ts";
import { changeBetween } from "./change.ts";
import { createCloneUses } from "./clone-uses.ts";
import { cloneRoot, inspect } from "./inspect.ts";
import { lockfileDigest } from "./lockfile-digest.ts";
import { clonePath, repoParts } from "./names.ts";
import type { Place } from "./place.ts";
import { prepare } from "./prepare.ts";
import { push } from "./push.ts";
import { conflicts, diff, readBase, log as readLog } from "./read.ts";
import { removeClone, removeClones } from "./remove-clones.ts";
import { createRunGit, SEARCH_PATH } from "./run-git.ts";
import { sizes } from "./sizes.ts";
import { createSpares } from "./spares.ts";
import { createScratch } from "./trash.ts";

/** Where caches and clones lie, and how the forge is reached. */
export interface GitOptions {
  /** Existing directory of the service; `cache/` and `work/` are made in it. */
  readonly stateDir: string;
  /** Address of a repository (`owner/name`), without credentials: http(s), or a path in tests. */
  readonly remoteUrl: (repo: string) => string;
  /**
   * The header line that lets an agent (null: the reader) in, e.g. `Authorization: Basic …`; asked
   * at each call, so that a rotated token is picked up. null: no credential.
   */
  readonly credential: (agent: string | null) => string | null;
  /** PEM file with the authority of the forge's certificate. */
  readonly caFile?: string | null;
  /** PATH on which git is found. */
  readonly searchPath?: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** How long after a fresh clone a spare for the repository's next one is made, in ms; absent: none is. */
  readonly spareAfterMs?: number;
  readonly log: Log;
}

/** The port `Git` on the git binary. Only one process may use a state directory at a time. */
export function createGit(options: GitOptions): Git {
  const { remoteUrl, credential, now, log, caFile = null, searchPath = SEARCH_PATH } = options;
  const stateDir = realpathSync(options.stateDir);
  const [cacheRoot, workRoot] = [join(stateDir, "cache"), join(stateDir, "work")];
  for (const root of [cacheRoot, workRoot]) mkdirSync(root, { recursive: true, mode: 0o700 });
  const git = createRunGit({ searchPath });
  const remote: Place["remote"] = (repo, agent) => {
    repoParts(repo);
    return { url: remoteUrl(repo), header: credential(agent), caFile };
  };
  const cacheScratch = createScratch(cacheRoot, log);
  const cache = createCache({
    root: cacheRoot,
    git,
    scratch: cacheScratch,
    remote: (repo) => remote(repo, null),
    now,
    log,
  });
  const workScratch = createScratch(workRoot, log);
  const uses = createCloneUses();
  const afterMs = options.spareAfterMs ?? null;
  const spares = createSpares({ workRoot, git, cache, scratch: workScratch, afterMs, log });
  const scratches = { cacheScratch, workScratch };
  const place: Place = { git, cache, ...scratches, uses, spares, workRoot, remote, log };
  return {
    prepare: (order) => spares.around(order.item.repo, () => prepare(place, order)),
    push: (order) => push(place, order),
    inspect: (item, agent, base) => inspect(place, { item, agent }, base),
    readBase: (repo, branch, path, bytes) => readBase(place, { repo, branch, path }, bytes),
    remoteHead: async (repo, branch) => (await cache.refresh(repo)).refs.branch(branch),
    diff: (repo, base, head, bytes) => diff(place, { repo, base, head }, bytes),
    log: (repo, from, to, count) => readLog(place, { repo, from, to }, count),
    change: (repo, base, head) => changeBetween(place, { repo, base, head }),
    conflicts: (repo, base, head) => conflicts(place, { repo, base, head }),
    use: (item, agent) => uses.take(clonePath(workRoot, item, agent)),
    removeClone: (item, agent) => removeClone(place, { item, agent }),
    removeClones: (item) => removeClones(place, item),
    removeSpare: (repo) => spares.remove(repo),
    allowSpares: (isAllowed) => spares.allow(isAllowed),
    sizes: () => sizes(stateDir, searchPath),
    lockfileDigest: async (item, agent) =>
      await lockfileDigest(await cloneRoot(place, { item, agent })),
    close: () => spares.close(),
  };
}
