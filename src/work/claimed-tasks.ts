import type { Claim } from "../ports/store/claims.ts";
import { keepLease, type LeaseKeeping } from "./keep-lease.ts";
import { reasonWithStack } from "./tell-trouble.ts";

/** A claim and what is done under it. */
interface ClaimedTask {
  readonly claim: Claim;
  readonly work: () => Promise<void>;
  /** Called when the work is over, however it went. */
  readonly after: () => void;
}

/** Everything this process does under claims, one thing at a time on each item. */
export interface ClaimedTasks {
  /** Begins a task; a failure of it is logged, its lease runs out and the item comes again. */
  begin(task: ClaimedTask): void;
  /** Resolves when everything that was begun is over. */
  ended(): Promise<void>;
}

/** Owns the promise of every claim; `onEnd` is called after each `after`. */
export function createClaimedTasks(
  keeping: LeaseKeeping & { readonly onEnd: () => void },
): ClaimedTasks {
  const busy = new Set<Promise<void>>();
  const ofItem = new Map<string, Promise<void>>();

  return {
    begin: ({ claim, work, after }) => {
      const name = `${claim.item.repo}#${claim.item.number}`;
      const task = oneAfterTheOther(ofItem.get(name), claim, work)
        .catch((error: unknown) => {
          const reason = reasonWithStack(error);
          keeping.log.error("work on an item broke", { ...claim.item, reason });
        })
        .finally(() => {
          busy.delete(task);
          if (ofItem.get(name) === task) ofItem.delete(name);
          after();
          keeping.onEnd();
        });
      busy.add(task);
      ofItem.set(name, task);
    },
    ended: async () => {
      await Promise.all(busy);
    },
  };

  /** A process that stood still for longer than a lease is given its own items again. */
  async function oneAfterTheOther(
    earlier: Promise<void> | undefined,
    claim: Claim,
    work: () => Promise<void>,
  ): Promise<void> {
    if (earlier !== undefined) await keepLease(claim, async () => await earlier, keeping);
    await work();
  }
}
