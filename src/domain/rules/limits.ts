import { spentBudget } from "../budget.ts";
import { type Decision, pausedReason } from "../decision.ts";
import { holdReason, isLifted } from "../hold.ts";
import type { Park } from "../ledger.ts";
import { knewEverything } from "../texts.ts";
import type { Situation } from "./row.ts";

/** Limits that hide every row: pause, an operator's hold, runs and money per item, money and tokens per day. Null when none is reached. */
export function limitsOf(situation: Situation): Decision | null {
  const { ledger, policy, now } = situation;
  const { limits } = policy;
  if (ledger.paused.all) {
    return { kind: "nothing", reason: pausedReason(null), lookAgainAt: null };
  }
  const { hold } = ledger;
  if (hold !== null && !isLifted(hold, situation)) {
    const park: Park = {
      row: "all",
      name: hold.kind,
      reason: holdReason(hold),
      until: null,
      since: hold.since,
    };
    return { kind: "park", park };
  }
  // A wait for a person is counted anew each time: a comment or more money ends it.
  const held = ledger.parks.find(
    ({ row, until }) => row === "all" && until !== null && until > now,
  );
  if (held !== undefined) return { kind: "park", park: held };
  // A run that met a closed gate, or had to wait otherwise, did not use up anything.
  const used = ledger.runs.filter(({ outcome }) => outcome !== "parked");
  if (used.filter((run) => knewEverything(run, situation)).length >= limits.runsPerItem) {
    const reason = "the runs of this item are used up; a comment here allows more";
    return parkAll("runs_per_item", reason, null, now);
  }
  const spent = spentBudget(ledger, limits, now);
  return spent === null ? null : parkAll(spent.name, spent.reason, spent.until, now);
}

/** Whether a park still holds: for a person it always does, for a time until then. */
export function isHeld(park: Park, now: number): boolean {
  return park.until === null || park.until > now;
}

function parkAll(name: string, reason: string, until: number | null, now: number): Decision {
  return { kind: "park", park: { row: "all", name, reason, until, since: now } };
}
