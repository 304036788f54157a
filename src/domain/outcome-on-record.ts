import type { EffectRecord, Outcome } from "./ledger.ts";
import { SKILL_TOOLS, type Skill } from "./skill.ts";

/**
 * How a run ended whose end nobody has seen, by the record of its order's effects alone: the forge has
 * taken what it was for, so that it has nothing left to do, or a question of it waits for an answer.
 * Null: nothing shows that it is done. Without this a run that was cut off behind its effect would be
 * made again where the forge does not show it by its state (an answer handed in, a question, a refusal
 * to merge), and the answer to its question would count as read. Null also for a skill that is none: a
 * newer version on the same database may have written it.
 */
export function outcomeOnRecord(
  skill: Skill,
  effects: readonly Pick<EffectRecord, "tool" | "state">[],
): Extract<Outcome, "succeeded" | "asked" | "declined"> | null {
  if (!Object.hasOwn(SKILL_TOOLS, skill)) return null;
  const done = (tool: string): boolean =>
    effects.some((effect) => effect.tool === tool && effect.state === "done");
  if (done("decline_merge")) return "declined";
  // `reply` and `ask_human` belong to every skill; a skill without a tool of its own is there to reply.
  const own = SKILL_TOOLS[skill].filter((tool) => tool !== "reply" && tool !== "ask_human");
  if ((own.length === 0 ? ["reply"] : own).some(done)) return "succeeded";
  return done("ask_human") ? "asked" : null;
}
