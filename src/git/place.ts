import type { Log } from "../ports/observe.ts";
import type { Cache } from "./cache.ts";
import type { CloneUses } from "./clone-uses.ts";
import type { GitRemote, RunGit } from "./run-git.ts";
import type { Spares } from "./spares.ts";
import type { Scratch } from "./trash.ts";

/** What the verbs of this adapter work with; made once by createGit. */
export interface Place {
  readonly git: RunGit;
  readonly cache: Cache;
  /** Scratch places of the cache and of the clones (each on the file system of its root). */
  readonly cacheScratch: Scratch;
  readonly workScratch: Scratch;
  readonly uses: CloneUses;
  readonly spares: Spares;
  /** Directory of all clones. */
  readonly workRoot: string;
  /** Address and credential; null: the reader's. */
  readonly remote: (repo: string, agent: string | null) => GitRemote;
  readonly log: Log;
}

/** Ref of the cache that names the commit a clone was last prepared at or pushed. */
export function preparedRef(agent: string, number: number): string {
  return `refs/prepared/${agent}/${number}`;
}

/**
 * Ref of the cache that says that a clone was made to be read only: nothing is ever taken out of it,
 * and it is thrown away before it is made anew.
 */
export function readOnlyRef(agent: string, number: number): string {
  return `refs/read-only/${agent}/${number}`;
}

/** Under which name the commits of a clone are kept that was removed to make room. */
export function removedRun(agent: string, number: number): string {
  return `removed-${agent}-${number}`;
}
