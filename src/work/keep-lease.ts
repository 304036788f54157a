import type { Log } from "../ports/observe.ts";
import type { Claim } from "../ports/store/claims.ts";
import type { Store } from "../ports/store.ts";
import { type Alarm, createAlarm } from "../time/alarm.ts";

/** How leases are renewed. */
export interface LeaseKeeping {
  readonly store: Pick<Store, "work">;
  /** How long a claim holds without a renewal, in milliseconds. */
  readonly leaseMs: number;
  readonly log: Log;
}

/**
 * Renews the lease of a claim while it is worked on: a slow forge must not make it run out. Throws
 * what the work throws; a lease that is lost ends nothing, its writes are refused by the fence.
 */
export async function keepLease(
  claim: Claim,
  work: () => Promise<void>,
  keeping: LeaseKeeping,
): Promise<void> {
  const alarm = createAlarm();
  const beating = beat(claim, keeping, alarm);
  try {
    await work();
  } finally {
    alarm.ring();
    await beating;
  }
}

async function beat(
  claim: Claim,
  { store, leaseMs, log }: LeaseKeeping,
  alarm: Alarm,
): Promise<void> {
  while (!(await alarm.sleep(leaseMs / 3))) {
    try {
      if (!(await store.work.heartbeat(claim, leaseMs)).held) return;
    } catch (error) {
      log.warn("a lease could not be renewed", { ...claim.item, reason: String(error) });
    }
  }
}
