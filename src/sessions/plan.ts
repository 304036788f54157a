import type { Ledger, RunRecord } from "../domain/ledger.ts";
import type { Skill } from "../domain/skill.ts";
import { isFulfilled } from "../domain/texts.ts";
import type { SessionRow } from "../ports/store.ts";

/**
 * How a run meets its session: `start` a new conversation with the full prompt, `resume` one whose
 * last run succeeded with the delta prompt, or `continue` one whose last run did not.
 */
export type Plan =
  | { readonly kind: "start"; readonly sessionId: string; readonly why: string }
  | { readonly kind: "resume"; readonly sessionId: string; readonly last: RunRecord }
  | { readonly kind: "continue"; readonly sessionId: string; readonly last: RunRecord };

/**
 * Chooses the plan from facts alone. `hasTranscript` says whether a conversation of the stored id
 * lies on disk: resuming is decided by that, never by hope. `newId` is a fresh UUID to use if one
 * is needed.
 */
export function planSession(facts: {
  readonly session: SessionRow | null;
  readonly hasTranscript: boolean;
  readonly skill: Skill;
  readonly ledger: Ledger;
  readonly newId: string;
}): Plan {
  const { session, skill, ledger } = facts;
  if (session === null) return { kind: "start", sessionId: facts.newId, why: "no session yet" };
  // Text of people without write access must not steer the decision to merge (a poisoned resume).
  if (skill === "merge" && session.tainted) {
    return { kind: "start", sessionId: facts.newId, why: "the old session is tainted" };
  }
  if (!facts.hasTranscript) {
    return { kind: "start", sessionId: session.sessionId, why: "no transcript yet" };
  }
  const last = ledger.runs.findLast((run) => run.session === session.sessionId);
  if (last === undefined) {
    return { kind: "start", sessionId: facts.newId, why: "no run knows the session" };
  }
  const kind = isFulfilled(last) ? "resume" : "continue";
  return { kind, sessionId: session.sessionId, last };
}
