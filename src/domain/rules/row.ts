import type { Decision, RunOrder } from "../decision.ts";
import type { Ledger } from "../ledger.ts";
import type { Policy } from "../policy.ts";
import type { Snapshot } from "../snapshot.ts";

/** Everything a row may look at. */
export interface Situation {
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly conflicts: boolean;
  readonly now: number;
}

/** What a row says: it does not hold, it wants a run, or it has decided already. */
export type Answer =
  | {
      readonly kind: "pass";
      /** Why, when that is worth telling; null when the row simply does not concern the item. */
      readonly reason: string | null;
      readonly lookAgainAt: number | null;
    }
  | { readonly kind: "order"; readonly order: RunOrder }
  | { readonly kind: "decided"; readonly decision: Decision };

export function pass(reason: string | null = null, lookAgainAt: number | null = null): Answer {
  return { kind: "pass", reason, lookAgainAt };
}
