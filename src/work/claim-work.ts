import { setImmediate as nextTurn } from "node:timers/promises";
import { passName } from "../domain/gate.ts";
import type { RunClaim, RunLimits } from "../ports/store/claims.ts";
import { claimRun } from "./claim-run.ts";
import type { ClaimedTasks } from "./claimed-tasks.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { keepLease } from "./keep-lease.ts";
import { reconcile } from "./reconcile.ts";

const RECONCILES_MAX = 4;

/**
 * Gives a function that claims everything that may begin now, and begins it as `tasks`: runs, and
 * where `canLook` says so up to four looks at items.
 */
export function createClaiming(
  deps: WorkDependencies,
  options: {
    readonly owner: string;
    readonly leaseMs: number;
    readonly limits: () => RunLimits;
    readonly run: (claim: RunClaim) => Promise<void>;
    readonly tasks: ClaimedTasks;
    readonly isDraining: () => boolean;
    readonly isStopping: () => boolean;
  },
): (canLook: boolean) => Promise<void> {
  const { store, gates, log } = deps;
  const { owner, leaseMs, limits, tasks, isDraining, isStopping } = options;
  const mayBegin = (): boolean => !isStopping() && !isDraining();
  let reconciling = 0;

  return async (canLook) => {
    for (;;) {
      // Before the next look: what was just decided would otherwise be looked at again for as long as
      // its item is marked faster than a look takes, and never run. A run reads the forge anew anyway.
      await beginRuns();
      if (!canLook || isStopping() || reconciling >= RECONCILES_MAX) return;
      if (!(await beginReconcile())) return;
    }
  };

  async function beginRuns(): Promise<void> {
    for (;;) {
      const claim = await claimRun(deps, { owner, leaseMs, limits, mayBegin });
      if (claim === null) return;
      tasks.begin({
        claim,
        work: async () => await options.run(claim),
        after: () => gates.leave(passName(claim)),
      });
      await nextTurn();
    }
  }

  /** False: nothing is due. */
  async function beginReconcile(): Promise<boolean> {
    const claim = await store.work.claimReconcile(owner, leaseMs);
    if (claim === null) return false;
    reconciling += 1;
    const look = async (): Promise<void> => await reconcile(claim, deps);
    tasks.begin({
      claim,
      work: async () => await keepLease(claim, look, { store, leaseMs, log }),
      after: () => {
        reconciling -= 1;
      },
    });
    // What has begun goes before the look for more: mostly there is none.
    await nextTurn();
    return true;
  }
}
