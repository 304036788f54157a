import type { RunRecord } from "../domain/ledger.ts";
import type { Skill } from "../domain/skill.ts";
import { isFulfilled } from "../domain/texts.ts";
import type { SessionRow } from "../ports/store.ts";

/**
 * How a run meets its session: `start` a new conversation with the full prompt, `resume` one whose
 * last run succeeded with the delta prompt, or `continue` one whose last run did not: then nothing
 * it was told is repeated, and the true state of what it did is told instead.
 */
export type Plan =
  | { readonly kind: "start"; readonly sessionId: string; readonly why: string }
  | {
      readonly kind: "resume" | "continue";
      readonly sessionId: string;
      readonly last: RunRecord | null;
    };

/**
 * Chooses the plan from facts alone. `hasTranscript`: a conversation of the stored id lies on disk;
 * resuming is decided by that, never by hope. `told`: the newest run whose prompt is in it, null
 * when none is (a conversation that somebody brought, or a CLI killed before it had read anything).
 * `newId` is a fresh UUID to use if one is needed.
 */
export function planSession(facts: {
  readonly session: SessionRow | null;
  readonly hasTranscript: boolean;
  readonly told: RunRecord | null;
  readonly skill: Skill;
  readonly newId: string;
}): Plan {
  const { session, skill, told, newId } = facts;
  if (session === null) return { kind: "start", sessionId: newId, why: "no session yet" };
  // Text of people without write access must not steer the decision to merge (a poisoned resume).
  if (skill === "merge" && session.tainted) {
    return { kind: "start", sessionId: newId, why: "the old session is tainted" };
  }
  const { sessionId } = session;
  if (!facts.hasTranscript) return { kind: "start", sessionId, why: "no transcript yet" };
  const kind = told !== null && isFulfilled(told) ? "resume" : "continue";
  return { kind, sessionId, last: told };
}
