import { type Decision, pausedReason, type RunOrder } from "../decision.ts";
import { BRANCH_MOVED, type RunRecord } from "../ledger.ts";
import { isFulfilled, knewEverything, unreadComments } from "../texts.ts";
import { isHeld } from "./limits.ts";
import type { Situation } from "./row.ts";

const RETRY_FIRST_MS = 10_000;
const RETRY_MOST_MS = 10 * 60_000;
/** A run that fell silent is resumed once. */
const STALLS_MAX = 2;

/**
 * What becomes of an order whose row holds: nothing if a run with its fingerprint is fulfilled, a
 * wait between attempts, a park after too many failures in a row, or the run.
 */
export function settle(asked: RunOrder, situation: Situation): Decision {
  const { ledger, policy, now } = situation;
  const order = withAnswers(asked, situation);
  const same = ledger.runs.filter((run) => run.fingerprint === order.fingerprint);
  const done = same.find(isFulfilled);
  if (done !== undefined) {
    return nothing(`${order.agent} has done that: ${order.skill} ${done.outcome}`);
  }
  if (ledger.paused.agents.includes(order.agent)) return nothing(pausedReason(order.agent));
  const park = ledger.parks.find((held) => held.row === order.skill && isHeld(held, now));
  if (park !== undefined && park.until !== null) return { kind: "park", park };
  const failed = same.filter((run) => hasFailed(run) && knewEverything(run, situation));
  const last = same.at(-1);
  if (last !== undefined && isCrossed(last) && knewEverything(last, situation)) {
    const reason = last.reason?.slice(`${BRANCH_MOVED}: `.length) ?? BRANCH_MOVED;
    const held = { row: order.skill, name: BRANCH_MOVED, reason, until: null, since: now };
    return { kind: "park", park: park ?? held };
  }
  if (failed.length >= policy.limits.failures) {
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
  if (
    failed.slice(-STALLS_MAX).filter(({ outcome }) => outcome === "stalled").length === STALLS_MAX
  ) {
    return {
      kind: "park",
      park: park ?? {
        row: order.skill,
        name: "stalled",
        reason: `${order.agent} fell silent at ${order.skill}, and again after it was resumed; a comment here lets it try again`,
        until: null,
        since: now,
      },
    };
  }
  const endedAt = failed.at(-1)?.endedAt ?? null;
  if (endedAt !== null) {
    const next = endedAt + Math.min(RETRY_FIRST_MS * 3 ** (failed.length - 1), RETRY_MOST_MS);
    if (next > now) {
      return nothing(`attempt ${failed.length + 1} of ${policy.limits.failures} waits`, next);
    }
  }
  return { kind: "run", order };
}

/**
 * A question or a refusal to merge ends an order until a permitted person says something: the ids
 * of what was said make it a new one.
 */
function withAnswers(order: RunOrder, situation: Situation): RunOrder {
  const waits = situation.ledger.runs.some(
    (run) =>
      run.agent === order.agent &&
      (run.fingerprint === order.fingerprint ||
        run.fingerprint.startsWith(`${order.fingerprint}+`)) &&
      (run.outcome === "asked" || run.outcome === "declined"),
  );
  const answers = waits ? unreadComments(order.agent, situation).map(({ id }) => `${id}`) : [];
  return { ...order, fingerprint: [order.fingerprint, ...answers].join("+") };
}

/** Somebody else kept pushing to its branch. */
function isCrossed({ outcome, reason }: RunRecord): boolean {
  return outcome === "parked" && reason?.startsWith(`${BRANCH_MOVED}: `) === true;
}

function hasFailed({ outcome }: RunRecord): boolean {
  return outcome === "failed" || outcome === "timed_out" || outcome === "stalled";
}

function nothing(reason: string, lookAgainAt: number | null = null): Decision {
  return { kind: "nothing", reason, lookAgainAt };
}
