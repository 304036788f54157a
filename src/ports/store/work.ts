import type { Hold, PeoplesNewest } from "../../domain/hold.ts";
import type { Park } from "../../domain/ledger.ts";
import type { ItemRef, Snapshot } from "../../domain/snapshot.ts";
import type {
  Claim,
  LeaseState,
  ReconcileClaim,
  ReconcileResult,
  RunClaim,
  RunLimits,
} from "./claims.ts";
import type { ItemRow } from "./items.ts";
import type { Mark, MarkMove, MarkRow } from "./marks.ts";
import type { Page } from "./page.ts";

/**
 * The queue: marks, work items with their leases, pauses and holds. What the claims, their renewal,
 * `resolve`, `postpone` and `settleReconcile` have written, a power cut may take back as a whole on SQLite
 * (ADR 0010).
 */
export interface WorkStore {
  /** Adds one to the counter of every mark; `urgent` ones (webhooks) are reconciled before sweeps. */
  mark(marks: readonly Mark[], urgent: boolean): Promise<void>;
  /** Those that may be looked at now, the urgent ones first. */
  unresolved(limit: number): Promise<readonly MarkRow[]>;
  /** The mark could not be resolved: it is looked at again at `until` (epoch ms). */
  postpone(row: MarkRow, until: number): Promise<void>;
  /** Moves each mark to the items it turned out to be (none: it concerns nothing), all in one transaction. */
  resolve(moves: readonly MarkMove[]): Promise<void>;
  claimReconcile(owner: string, leaseMs: number): Promise<ReconcileClaim | null>;
  /** Takes the lease of one known item that nobody has, so that nothing runs on it meanwhile; its marks, times and waiting order stay. Null: somebody has it, or it is unknown. */
  claimItem(item: ItemRef, owner: string, leaseMs: number): Promise<Claim | null>;
  /** Gives that lease back and changes nothing else. */
  release(claim: Claim): Promise<void>;
  /** False: the lease was lost and nothing was written. */
  settleReconcile(claim: Claim, result: ReconcileResult): Promise<boolean>;
  claimRun(owner: string, leaseMs: number, limits: RunLimits): Promise<RunClaim | null>;
  /** Renews the lease; tells whether it is still ours and the item's mark counter now. */
  heartbeat(claim: Claim, leaseMs: number): Promise<LeaseState>;
  /** The same without renewing it: reads only, so it may be asked often. */
  leaseState(claim: Claim): Promise<LeaseState>;
  /** Ends the run's lease and marks the item again; `notBefore` delays the next reconcile (a retry time), `park` is added to the item's parks in place of one of the same row; `row`: a run of it was carried out, so that it counts as tried no longer. */
  settleRun(
    claim: Claim,
    after: {
      readonly notBefore: number | null;
      readonly park: Park | null;
      readonly row?: Park["row"];
    },
  ): Promise<boolean>;
  /** Frees leases that ran out, and all of `owner` (boot); resolves with how many. A run whose lease ran out is ended as `cancelled`: its worker can say nothing any more. */
  reap(owner: string | null): Promise<number>;
  /** Makes `owner` the one who sweeps for `leaseMs`, or renews that; false: somebody else is, and may be for longer. */
  claimSweep(owner: string, leaseMs: number): Promise<boolean>;
  /** The next moment at which something becomes due, epoch ms, or null. */
  nextDue(): Promise<number | null>;
  items(limit: number, before: string | null): Promise<Page<ItemRow>>;
  item(ref: ItemRef): Promise<ItemRow | null>;
  snapshot(ref: ItemRef): Promise<Snapshot | null>;
  /** Items with something local: session, clone, run, park, open intent, waiting order. */
  localItems(): Promise<readonly ItemRef[]>;
  waiting(): Promise<{ readonly waiting: number; readonly active: number }>;
  pause(scope: PauseScope, on: boolean): Promise<void>;
  paused(): Promise<readonly PauseScope[]>;
  /** Takes the item's waiting order back, lets no run of it be claimed, and marks it; false for an unknown item. */
  hold(item: ItemRef, hold: Hold): Promise<boolean>;
  held(item: ItemRef): Promise<Hold | null>;
  /** What the first snapshot after a hold showed of people; later calls change nothing. */
  holdKnows(item: ItemRef, known: PeoplesNewest): Promise<void>;
  /** Takes the hold away; nothing else. */
  letGo(item: ItemRef): Promise<void>;
  /** Takes hold, parks and retry times away, counts its limits anew from now on, and marks it; false for an unknown item. */
  goOn(item: ItemRef): Promise<boolean>;
  /** The agent whose run has the item now, from the claim to the exit of its process; null: none. */
  runningAgent(item: ItemRef): Promise<string | null>;
  /** How many items have a run of `owner` now, counted from the claim to the exit of its process. */
  running(owner: string): Promise<number>;
}

/** What a pause covers. */
export type PauseScope =
  | { readonly kind: "all" }
  | { readonly kind: "repo"; readonly repo: string }
  | { readonly kind: "agent"; readonly agent: string };
