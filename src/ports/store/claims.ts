import type { RunOrder } from "../../domain/decision.ts";
import type { Park } from "../../domain/ledger.ts";
import type { ItemRef, Snapshot } from "../../domain/snapshot.ts";
import type { ItemState } from "./items.ts";

/** The fenced right to reconcile or run one work item until `leaseUntil`. */
export interface Claim {
  readonly item: ItemRef;
  readonly owner: string;
  readonly fence: number;
  /** The mark counter that was read; settling clears only up to it. */
  readonly mark: number;
}

/** The right to look at the item. */
export interface ReconcileClaim extends Claim {
  /** What was decided when it was looked at last; `none` if it never was. */
  readonly last: Pick<ReconcileResult, "decision" | "reason">;
}

/** The right to carry out the item's order. */
export interface RunClaim extends Claim {
  readonly order: RunOrder;
}

/** How a reconcile ends. `order` asks for a run; it waits for a slot without lease. */
export interface ReconcileResult {
  readonly decision: string;
  readonly reason: string;
  readonly state: ItemState;
  readonly lookAgainAt: number | null;
  readonly order: RunOrder | null;
  readonly snapshot: Snapshot | null;
  readonly pull: number | null;
  /** The item's parks from now on. */
  readonly parks: readonly Park[];
}

/** What may run at the same time. */
export interface RunLimits {
  readonly runs: number;
  readonly runsPerAgent: number;
  /** Agents none of whose orders may begin now. */
  readonly held?: readonly string[];
}

/** Whether a lease still runs under its claim, and the mark counter of its item. */
export interface LeaseState {
  readonly held: boolean;
  readonly mark: number;
}
