import { passName } from "../domain/gate.ts";
import type { RunClaim, RunLimits } from "../ports/store/claims.ts";
import type { WorkDependencies } from "./dependencies.ts";

/**
 * Claims the next order whose gates let it through; null: there is none, or `mayBegin` says that no
 * run may begin. Whoever carries the claim out has to leave the gates under `passName` afterwards.
 */
export async function claimRun(
  deps: Pick<WorkDependencies, "store" | "gates">,
  options: {
    readonly owner: string;
    readonly leaseMs: number;
    readonly limits: () => RunLimits;
    readonly mayBegin: () => boolean;
  },
): Promise<RunClaim | null> {
  const { store, gates } = deps;
  while (options.mayBegin()) {
    await gates.follow();
    const held = gates.held();
    const limits = { ...options.limits(), held };
    const claim = await store.work.claimRun(options.owner, options.leaseMs, limits);
    if (claim === null) return null;
    const by = passName(claim);
    if (await gates.enter(claim.order.agent, by)) return claim;
    // Its item is looked at again, and its order waits for the one who tries.
    gates.leave(by);
    await store.work.settleRun(claim, { notBefore: null, park: null });
  }
  return null;
}
