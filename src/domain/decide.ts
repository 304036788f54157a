import type { AskedText } from "./asked-text.ts";
import type { Change } from "./change.ts";
import { type Decision, isNotBuilt } from "./decision.ts";
import type { Changes } from "./disagreement.ts";
import type { Ledger } from "./ledger.ts";
import type { Policy } from "./policy.ts";
import { addressReview } from "./rules/address-review.ts";
import { cleanup } from "./rules/cleanup.ts";
import { forbidden } from "./rules/forbidden.ts";
import { implement } from "./rules/implement.ts";
import { limitsOf } from "./rules/limits.ts";
import { merge } from "./rules/merge.ts";
import { refusal } from "./rules/refusal.ts";
import { review } from "./rules/review.ts";
import type { Answer, Situation } from "./rules/row.ts";
import { settle } from "./rules/settle.ts";
import { fixChecks, respond, updateBranch } from "./rules/unbuilt.ts";
import type { Snapshot } from "./snapshot.ts";

/** The rows of the table in the order in which they are tried. */
const ROWS: readonly ((situation: Situation) => Answer)[] = [
  implement,
  addressReview,
  fixChecks,
  updateBranch,
  review,
  respond,
  merge,
];

/**
 * What to do next about one work item, and why. Pure: the same state gives the same answer, so
 * that lost, doubled, reordered and replayed deliveries cannot start wrong work.
 *
 * `conflicts`: whether git says that base and head of the open pull request conflict (false when
 * unknown). `changes`: what was changed between the rounds of `roundsOf`. `branchChange`: what its
 * branch changes in all. `askedText`: what the issue said when it was given. `now`: epoch milliseconds. Call it only while no run of the item is alive.
 */
export function decide(state: {
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly conflicts: boolean;
  readonly changes?: Changes;
  readonly branchChange?: Change | null;
  readonly askedText?: AskedText | null;
  readonly now: number;
}): Decision {
  const situation: Situation = state;
  const cleaning = cleanup(situation);
  if (cleaning !== null) return cleaning;
  if (situation.snapshot.state === "closed") return nothing("the issue is closed");
  const refused = refusal(situation);
  if (refused !== null) return refused;
  const limited = limitsOf(situation);
  if (limited !== null) return limited;
  const reasons: string[] = [];
  let lookAgainAt: number | null = null;
  let parked: Decision | null = null;
  for (const row of ROWS) {
    const answer = row(situation);
    if (answer.kind === "pass") {
      if (answer.reason !== null) reasons.push(answer.reason);
      lookAgainAt = earliest(lookAgainAt, answer.lookAgainAt);
      continue;
    }
    const wanted = answer.kind === "order" ? settle(answer.order, situation) : answer.decision;
    // Last of all: what would not be run anyway need not be refused.
    const settled = wanted.kind === "run" ? (forbidden(wanted.order, situation) ?? wanted) : wanted;
    if (settled.kind === "run" || settled.kind === "refuse") return settled;
    if (settled.kind === "park") parked ??= settled;
    else if (settled.kind === "nothing") {
      reasons.push(settled.reason);
      lookAgainAt = earliest(lookAgainAt, settled.lookAgainAt);
    }
  }
  // What somebody waits for in vain is worth more than why another row does not hold.
  const reason = reasons.find(isNotBuilt) ?? reasons[0];
  return parked ?? nothing(reason ?? "nobody asked for anything", lookAgainAt);
}

function nothing(reason: string, lookAgainAt: number | null = null): Decision {
  return { kind: "nothing", reason, lookAgainAt };
}

function earliest(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}
