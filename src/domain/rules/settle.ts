import type { Decision, RunOrder } from "../decision.ts";
import type { RunRecord } from "../ledger.ts";
import { isPermitted } from "../people.ts";
import { isFulfilled, textId } from "../texts.ts";
import { isHeld } from "./limits.ts";
import type { Situation } from "./row.ts";

const RETRY_FIRST_MS = 10_000;
const RETRY_MOST_MS = 10 * 60_000;

/**
 * What becomes of an order whose row holds: nothing if a run with its fingerprint is fulfilled, a
 * wait between attempts, a park after too many failures in a row, or the run.
 */
export function settle(order: RunOrder, situation: Situation): Decision {
  const { ledger, policy, now } = situation;
  const same = ledger.runs.filter((run) => run.fingerprint === order.fingerprint);
  const done = same.find(isFulfilled);
  if (done !== undefined) {
    return nothing(`${order.agent} has done that: ${order.skill} ${done.outcome}`);
  }
  if (ledger.paused.agents.includes(order.agent)) return nothing(`${order.agent} is paused`);
  const park = ledger.parks.find((held) => held.row === order.skill && isHeld(held, now));
  if (park !== undefined && park.until !== null) return { kind: "park", park };
  const failures = failuresInARow(same, newestComment(situation));
  if (failures >= policy.limits.failures) {
    return {
      kind: "park",
      park: park ?? {
        row: order.skill,
        name: "failures",
        reason: `${order.agent} failed at ${order.skill} (${same.at(-1)?.reason ?? "unknown"}); a comment here lets it try again`,
        until: null,
        since: now,
      },
    };
  }
  const last = same.at(-1);
  if (last !== undefined && failures > 0 && last.endedAt !== null) {
    const next = last.endedAt + Math.min(RETRY_FIRST_MS * 3 ** (failures - 1), RETRY_MOST_MS);
    if (next > now) {
      return nothing(`attempt ${failures + 1} of ${policy.limits.failures} waits`, next);
    }
  }
  return { kind: "run", order };
}

/**
 * Failures of this order that knew everything people have said by now: a permitted comment starts
 * the count anew, and needs no comparing of clocks.
 */
function failuresInARow(runs: readonly RunRecord[], newest: string | null): number {
  return runs.filter(
    ({ outcome, shown }) =>
      (outcome === "failed" || outcome === "timed_out" || outcome === "stalled") &&
      (newest === null || shown.includes(newest)),
  ).length;
}

function newestComment({ snapshot, policy }: Situation): string | null {
  const comment = snapshot.comments.findLast(({ author }) => isPermitted(author, snapshot, policy));
  return comment === undefined ? null : textId.comment(comment.id);
}

function nothing(reason: string, lookAgainAt: number | null = null): Decision {
  return { kind: "nothing", reason, lookAgainAt };
}
