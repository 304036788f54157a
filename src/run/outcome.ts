import type { Outcome, Park } from "../domain/ledger.ts";
import type { Skill } from "../domain/skill.ts";
import type { Finding } from "../domain/verify.ts";
import type { AgentEnd } from "../ports/agent.ts";
import type { Stop } from "./watch-run.ts";

const WAIT_MS = 5 * 60_000;
const FORGE_WAIT_MS = 60_000;

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
}

/**
 * The outcome of a run: what the forge shows comes first, also after a kill or a limit; then why we
 * stopped it; then how the query ended.
 */
export function verdictOn(
  end: AgentEnd,
  state: { finding: Finding; stop: Stop | null; skill: Skill; now: number },
): Verdict {
  const { finding, stop, skill, now } = state;
  if (finding.kind === "fulfilled") {
    return { outcome: finding.outcome, reason: SHOWN[finding.outcome], park: null };
  }
  if (stop !== null) return { outcome: stop.outcome, reason: stop.reason, park: null };
  if (finding.kind === "unknown") return waiting("forge", now + FORGE_WAIT_MS, finding.reason);
  switch (end.kind) {
    case "completed":
      return failed(finding.reason);
    case "wait":
      return waiting(end.reason, end.retryAt ?? now + WAIT_MS, end.message);
    case "operator":
      return waiting(end.reason, now + WAIT_MS, end.message);
    case "session_lost":
    case "context_full":
    case "refusal":
    case "died":
    case "interrupted":
      return failed(end.kind);
    case "limit":
      return failed(`limit_${end.reason}`);
  }

  function waiting(name: string, until: number, message: string): Verdict {
    return {
      outcome: "parked",
      reason: `${name}: ${message.slice(0, 200)}`,
      park: { row: skill, name, reason: `not available now: ${name}`, until, since: now },
    };
  }
}

function failed(reason: string): Verdict {
  return { outcome: "failed", reason, park: null };
}
