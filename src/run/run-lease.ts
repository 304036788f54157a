import type { RunClaim } from "../ports/store/claims.ts";
import type { WorkStore } from "../ports/store/work.ts";

const LEASE_MS = 30_000;
/** A renewal is a write to the disk for each run: the looks in between only read. */
const RENEW_EVERY_MS = 5000;
/**
 * A lease that could not be renewed counts as lost so long before its end: by then the process must
 * be gone, and no act may be under way, whatever the clocks of others say.
 */
const LEASE_SPARE_MS = 7000;
/** So long the claim itself is believed; a process that stood still since then may have lost it. */
const UNCONFIRMED_MS = 10_000;

/** The lease of a living run, as far as this process can know. */
export interface RunLease {
  /** Whether it still holds for a while, by the monotonic clock and what was last heard of the store. */
  holds(): boolean;
  /** Renews it when that is due, else looks at it; resolves with the item's mark counter, or null when it is lost. Throws what the store throws. */
  keep(): Promise<number | null>;
}

/** The lease that came with the claim. */
export function createRunLease(
  claim: RunClaim,
  work: Pick<WorkStore, "heartbeat" | "leaseState">,
): RunLease {
  let heldUntil = performance.now() + UNCONFIRMED_MS + LEASE_SPARE_MS;
  let renewAt = 0;
  return {
    holds: () => performance.now() < heldUntil - LEASE_SPARE_MS,
    keep: async () => {
      const asked = performance.now();
      const renews = asked >= renewAt;
      const { held, mark } = renews
        ? await work.heartbeat(claim, LEASE_MS)
        : await work.leaseState(claim);
      if (!held) {
        heldUntil = 0;
        return null;
      }
      if (renews) {
        heldUntil = asked + LEASE_MS;
        renewAt = asked + RENEW_EVERY_MS;
      }
      return mark;
    },
  };
}
