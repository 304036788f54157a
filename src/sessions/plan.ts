import type { RunRecord } from "../domain/ledger.ts";
import type { Skill } from "../domain/skill.ts";
import { isFulfilled } from "../domain/texts.ts";
import type { Conversation, Rotation, SessionStart } from "../ports/store/conversations.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import { type RotationLimits, rotationOf } from "./rotation.ts";

/** A new conversation with the full prompt. */
export interface StartPlan {
  readonly kind: "start";
  readonly sessionId: string;
  /** Null: the conversation was chosen before but has not begun yet. */
  readonly why: SessionStart | null;
  /** What the conversation before it left for it, or null. */
  readonly handOver: string | null;
  /** The run of the conversation before it that did not come to its end, or null. */
  readonly unfinished: RunRecord | null;
}

/**
 * How a run meets its session: `start` a new conversation with the full prompt, `resume` one whose
 * last run succeeded with the delta prompt, `continue` one whose last run did not (then nothing it
 * was told is repeated, and the true state of what it did is told instead), or `rotate`: the old
 * conversation is asked once for a hand-over, if it can still answer, and a new one takes its place.
 */
export type Plan =
  | StartPlan
  | {
      readonly kind: "resume" | "continue";
      readonly sessionId: string;
      readonly last: RunRecord | null;
    }
  | {
      readonly kind: "rotate";
      /** The old conversation. */
      readonly sessionId: string;
      readonly why: Rotation;
      readonly canHandOver: boolean;
      readonly last: RunRecord | null;
    };

/**
 * Chooses the plan from facts alone. `hasTranscript`: a conversation of the stored id lies on disk;
 * resuming is decided by that, never by hope. `told`: the newest run whose prompt is in it, null
 * when none is (a conversation that somebody brought, or a CLI killed before it had read anything).
 * `newest`: the newest conversation of the session, also one that was dropped. `lastReason`: see
 * `rotationOf`. `newId` is a fresh UUID to use if one is needed; `now` is epoch ms.
 */
export function planSession(facts: {
  readonly session: SessionRow | null;
  readonly newest: Conversation | null;
  readonly hasTranscript: boolean;
  readonly told: RunRecord | null;
  readonly lastReason: string | null;
  readonly skill: Skill;
  readonly limits: RotationLimits;
  readonly newId: string;
  readonly now: number;
}): Plan {
  const { session, newest, skill, told, newId } = facts;
  if (session === null) {
    const why = newest?.endedWhy;
    return start(newId, why === "reset" || why === "retention" ? why : "first");
  }
  // Text of people without write access must not steer the decision to merge (a poisoned resume).
  if (skill === "merge" && session.tainted) return start(newId, "tainted");
  const { sessionId } = session;
  const conversation = newest?.sessionId === sessionId && newest.endedAt === null ? newest : null;
  if (!facts.hasTranscript) return start(sessionId, null, conversation?.handOver ?? null);
  const why = rotationOf({ ...facts, session, conversation });
  if (why !== null) {
    return { kind: "rotate", sessionId, why, canHandOver: why !== "context_full", last: told };
  }
  const kind = told !== null && isFulfilled(told) ? "resume" : "continue";
  return { kind, sessionId, last: told };
}

/** Whether the run's prompt goes into a conversation that has begun already. */
export function isResumed(plan: Plan): boolean {
  return plan.kind === "resume" || plan.kind === "continue";
}

function start(
  sessionId: string,
  why: SessionStart | null,
  handOver: string | null = null,
): StartPlan {
  return { kind: "start", sessionId, why, handOver, unfinished: null };
}
