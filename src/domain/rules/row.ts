import type { AskedText } from "../asked-text.ts";
import type { Change } from "../change.ts";
import type { Decision, RunOrder } from "../decision.ts";
import type { Changes } from "../disagreement.ts";
import type { Ledger } from "../ledger.ts";
import type { Policy } from "../policy.ts";
import type { Skill } from "../skill.ts";
import type { Snapshot } from "../snapshot.ts";

/** Everything a row may look at. */
export interface Situation {
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly conflicts: boolean;
  /** What was changed between two rounds of a review; absent: unknown. */
  readonly changes?: Changes;
  /** What the branch of the open pull request changes against its base; null or absent: unknown. */
  readonly branchChange?: Change | null;
  /** What the issue said when the act that gives it was first seen; null or absent: not known. */
  readonly askedText?: AskedText | null;
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

/** A park of one row until a person does something; the reason says what. */
export function waitForPerson(
  row: Skill,
  why: { readonly name: string; readonly reason: string },
  { now }: Situation,
): Answer {
  return {
    kind: "decided",
    decision: { kind: "park", park: { row, ...why, until: null, since: now } },
  };
}
