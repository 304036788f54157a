import { type Decision, pausedReason } from "../decision.ts";
import type { Park } from "../ledger.ts";
import { knewEverything } from "../texts.ts";
import type { Situation } from "./row.ts";

const DAY_MS = 86_400_000;

/** Limits that hide every row: pause, runs and money per item, money per day. Null when none is reached. */
export function limitsOf(situation: Situation): Decision | null {
  const { ledger, policy, now } = situation;
  const { limits } = policy;
  if (ledger.paused.all) {
    return { kind: "nothing", reason: pausedReason(null), lookAgainAt: null };
  }
  // A wait for a person is counted anew each time: a comment or more money ends it.
  const held = ledger.parks.find(
    ({ row, until }) => row === "all" && until !== null && until > now,
  );
  if (held !== undefined) return { kind: "park", park: held };
  if (ledger.runs.filter((run) => knewEverything(run, situation)).length >= limits.runsPerItem) {
    const reason = "the runs of this item are used up; a comment here allows more";
    return parkAll("runs_per_item", reason, null, now);
  }
  if (ledger.usdItem >= limits.usdPerItem) {
    return parkAll(
      "usd_per_item",
      "the money for this item is used up; raise limits.usd_per_item to go on",
      null,
      now,
    );
  }
  if (ledger.usdToday >= limits.usdPerDay) {
    const midnight = Math.floor(now / DAY_MS) * DAY_MS + DAY_MS;
    return parkAll("usd_per_day", "the money for today is used up", midnight, now);
  }
  return null;
}

/** Whether a park still holds: for a person it always does, for a time until then. */
export function isHeld(park: Park, now: number): boolean {
  return park.until === null || park.until > now;
}

function parkAll(name: string, reason: string, until: number | null, now: number): Decision {
  return { kind: "park", park: { row: "all", name, reason, until, since: now } };
}
