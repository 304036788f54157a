import type { Blocker } from "../domain/gate.ts";
import type { Outcome, Park } from "../domain/ledger.ts";
import { type RetryWish, retryPark } from "../domain/retry-park.ts";
import type { Skill } from "../domain/skill.ts";
import type { Finding } from "../domain/verify.ts";
import type { AgentEnd } from "../ports/agent.ts";
import type { RunMeter } from "../ports/gateway.ts";
import { blockerOf } from "./blocked.ts";
import type { Stop } from "./watch-run.ts";

/** What somebody has to mend, or passes by itself, but holds up nobody else. */
const BACKOFF = { firstMs: 5 * 60_000, mostMs: 30 * 60_000 };
const FORGE_BACKOFF = { firstMs: 60_000, mostMs: 10 * 60_000 };

const SHOWN = {
  succeeded: "the forge shows it",
  asked: "it waits for an answer",
  declined: "it waits for a person",
} as const;

/** How a run ends in the ledger, and the wait it leaves behind. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly reason: string;
  /** A wait that is no failure: the row is tried again then, in the same session. */
  readonly park: Park | null;
  /** What was not there for anybody: its gate closes, and the order waits behind it. */
  readonly blocker: Blocker | null;
}

/** What a verdict goes by besides the end of the query. */
interface VerdictState {
  readonly finding: Finding;
  readonly stop: Stop | null;
  readonly skill: Skill;
  /** A wait that an effect of the run has asked for. */
  readonly waits?: Park | null;
  /** The gate in front of the model, and what the gateway has seen of the run. */
  readonly model: { readonly gate: string; readonly meter: RunMeter };
  /** The item's parks until now. */
  readonly earlier: readonly Park[];
  readonly now: number;
  /** A random number from 0 up to 1. */
  readonly chance: number;
}

/**
 * The outcome of a run: what the forge shows comes first, also after a kill or a limit; then why we
 * stopped it; then how the query ended.
 */
export function verdictOn(end: AgentEnd, state: VerdictState): Verdict {
  const { finding, stop, skill } = state;
  const blocker = blockerOf(end, state.model);
  if (finding.kind === "fulfilled") {
    return { outcome: finding.outcome, reason: SHOWN[finding.outcome], park: null, blocker };
  }
  if (stop !== null) return { outcome: stop.outcome, reason: stop.reason, park: null, blocker };
  const waits = state.waits ?? null;
  if (waits !== null) {
    const reason = `${waits.name}: ${waits.reason}`;
    return { outcome: "parked", reason, park: waits, blocker };
  }
  if (blocker !== null && "message" in end) {
    const reason = `${blocker.reason}: ${end.message.slice(0, 200)}`;
    return { outcome: "parked", reason, park: null, blocker };
  }
  if (finding.kind === "unknown") {
    return waiting({ name: "forge", until: null, backoff: FORGE_BACKOFF }, finding.reason);
  }
  switch (end.kind) {
    case "completed":
      return failed(finding.reason);
    case "wait":
      return waiting({ name: end.reason, until: end.retryAt, backoff: BACKOFF }, end.message);
    case "operator":
      return waiting({ name: end.reason, until: null, backoff: BACKOFF }, end.message);
    case "session_lost":
    case "context_full":
    case "refusal":
    case "died":
    case "interrupted":
      return failed(end.kind);
    case "limit": {
      const outOf = end.reason === "budget" ? (state.model.meter.outOf ?? null) : null;
      // The money of the item or of the day: the next decision says until when that waits.
      if (outOf !== null) return { outcome: "parked", reason: outOf, park: null, blocker: null };
      return failed(`limit_${end.reason}`);
    }
  }

  function waiting(wish: Pick<RetryWish, "name" | "until" | "backoff">, message: string): Verdict {
    const { name } = wish;
    const reason = `not available now: ${name}`;
    return {
      outcome: "parked",
      reason: `${name}: ${message.slice(0, 200)}`,
      park: retryPark({ row: skill, reason, ...wish }, state),
      blocker,
    };
  }
}

function failed(reason: string): Verdict {
  return { outcome: "failed", reason, park: null, blocker: null };
}
