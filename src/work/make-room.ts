import type { ItemRef } from "../domain/snapshot.ts";
import { GitFailure, type Sizes } from "../ports/git.ts";
import type { ItemClone } from "../ports/store/ledger.ts";
import { waitAtMost } from "../time/wait-at-most.ts";
import type { WorkDependencies } from "./dependencies.ts";

const EVERY_MS = 60_000;
const GB = 1_000_000_000;

/** How much disk the state directory may take, in bytes. */
export interface DiskLimits {
  readonly all: number;
  /** Of each repository; null: no limit of its own. */
  readonly repository: number | null;
}

type Clone = Sizes["clones"][number];
type Dependencies = Pick<WorkDependencies, "git" | "store" | "log">;

/** The limits in bytes; `diskGb` and `diskGbPerRepository` count 10^9. */
export function diskLimits(limits: {
  readonly diskGb: number;
  readonly diskGbPerRepository: number | null;
}): DiskLimits {
  const { diskGb, diskGbPerRepository: each } = limits;
  return { all: diskGb * GB, repository: each === null ? null : each * GB };
}

/**
 * Removes what can be made again while the disk holds more than it may: spare work trees, then clones,
 * those first whose last run ended the longest ago; what an order waits for comes last, and a clone in
 * use is never removed. Their commits are kept in the cache and their conversations stay: the next run
 * makes the clone anew. From then on spares are made only where there is room for one. Resolves with how
 * many clones were removed, and with how many bytes are still too many because nothing else can be removed.
 */
export async function makeRoom(
  deps: Dependencies,
  limits: DiskLimits,
): Promise<{ readonly removed: number; readonly excess: number }> {
  const { total, repositories, clones, spares } = await deps.git.sizes();
  const over = new Map<string, number>();
  for (const [repo, bytes] of repositories) over.set(repo, bytes - (limits.repository ?? bytes));
  let overall = total - limits.all;
  let removed = 0;
  if (overall > 0 || [...over.values()].some((bytes) => bytes > 0)) {
    for (const { repo, bytes } of spares) {
      const ofRepository = over.get(repo) ?? 0;
      if (overall <= 0 && ofRepository <= 0) continue;
      if (!(await deps.git.removeSpare(repo))) continue;
      overall -= bytes;
      over.set(repo, ofRepository - bytes);
    }
    for (const clone of await oldestFirst(deps, clones)) {
      const { repo } = clone.item;
      const ofRepository = over.get(repo) ?? 0;
      if (overall <= 0 && ofRepository <= 0) continue;
      if (!(await isRemoved(deps, clone))) continue;
      removed += 1;
      overall -= clone.bytes;
      over.set(repo, ofRepository - clone.bytes);
    }
  }
  deps.git.allowSpares((repo) => {
    const free = limits.repository === null ? -overall : Math.min(-overall, -(over.get(repo) ?? 0));
    return free > largestOf(repo, clones);
  });
  return { removed, excess: Math.max(0, overall, ...over.values()) };
}

/** What a spare may take at most: one that has to be removed at the next look is better not made. */
function largestOf(repo: string, clones: readonly Clone[]): number {
  return Math.max(0, ...clones.map((clone) => (clone.item.repo === repo ? clone.bytes : 0)));
}

async function oldestFirst(
  { store }: Dependencies,
  clones: readonly Clone[],
): Promise<readonly Clone[]> {
  const known = new Map((await store.ledger.clones()).map((row) => [keyOf(row), row]));
  const rank = (clone: Clone): ItemClone | undefined => known.get(keyOf(clone));
  return clones.toSorted((a, b) => {
    const [one, other] = [rank(a), rank(b)];
    const waits = Number(one?.isWaitedFor ?? false) - Number(other?.isWaitedFor ?? false);
    return waits === 0 ? (one?.endedAt ?? 0) - (other?.endedAt ?? 0) : waits;
  });
}

function keyOf({ item, agent }: { readonly item: ItemRef; readonly agent: string }): string {
  return `${agent}:${item.repo}#${item.number}`;
}

async function isRemoved({ git, store, log }: Dependencies, clone: Clone): Promise<boolean> {
  const { item, agent, bytes } = clone;
  try {
    if (!(await git.removeClone(item, agent))) return false;
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    log.warn("a clone could not be removed to make room", {
      ...item,
      agent,
      reason: error.message,
    });
    return false;
  }
  await store.ledger.cloneRemoved(item, agent);
  log.info("a clone was removed to make room", { ...item, agent, bytes });
  return true;
}

/** Makes room at once and then every minute until the signal. What cannot be helped is said once. */
export async function makeRoomForEver(
  deps: Dependencies,
  options: { readonly limits: () => DiskLimits; readonly signal: AbortSignal },
): Promise<void> {
  const { limits, signal } = options;
  let isTold = false;
  while (!signal.aborted) {
    try {
      const { excess } = await makeRoom(deps, limits());
      if (excess > 0 && !isTold) {
        deps.log.warn(
          "the disk holds more than limits.disk_gb allows, and nothing more can be removed",
          {
            bytes: excess,
          },
        );
      }
      isTold = excess > 0;
    } catch (error) {
      deps.log.warn("the disk could not be looked at", { reason: String(error) });
    }
    await waitAtMost(EVERY_MS, signal);
  }
}
