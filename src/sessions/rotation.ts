import type { Limits } from "../domain/policy.ts";
import type { Conversation, Rotation } from "../ports/store/conversations.ts";
import type { SessionRow } from "../ports/store/sessions.ts";

const DAY_MS = 86_400_000;

/** The limits at which a session is given a new conversation. */
export type RotationLimits = Pick<Limits, "resumes" | "contextTokens" | "sessionDays">;

/**
 * Why the session must be rotated before its next run, or null when it may be resumed. A context
 * that the model refused comes first: then nothing can be asked of the old conversation any more.
 * `lastReason` is the reason with which the newest run of the session ended. `now` is epoch ms.
 */
export function rotationOf(facts: {
  readonly session: Pick<SessionRow, "resumes" | "createdAt">;
  readonly conversation: Pick<Conversation, "contextTokens"> | null;
  readonly lastReason: string | null;
  readonly limits: RotationLimits;
  readonly now: number;
}): Rotation | null {
  const { session, conversation, lastReason, limits, now } = facts;
  if (lastReason === "context_full") return "context_full";
  if ((conversation?.contextTokens ?? 0) >= limits.contextTokens) return "context";
  if (session.resumes >= limits.resumes) return "resumes";
  if (now - session.createdAt >= limits.sessionDays * DAY_MS) return "age";
  return null;
}
