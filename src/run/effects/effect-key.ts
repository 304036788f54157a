import type { RunOrder } from "../../domain/decision.ts";
import type { ItemRef } from "../../domain/snapshot.ts";
import type { ToolName } from "../../domain/tools.ts";

/** What of an order is recorded as an effect: its tools, and the push that is a part of two of them. */
type EffectName = ToolName | "push";

/**
 * The key of an effect: work item, fingerprint of the run, tool, and what it answers or the
 * how-manieth it is; never its words, because every attempt words it differently.
 */
export function effectKey(
  item: ItemRef,
  order: Pick<RunOrder, "fingerprint">,
  effect: { readonly tool: EffectName; readonly detail: string },
): string {
  return `${keyPrefix(item, order)}${effect.tool}|${effect.detail}`;
}

/** What the keys of all effects of one order begin with. */
export function keyPrefix(item: ItemRef, order: Pick<RunOrder, "fingerprint">): string {
  return `${item.repo}#${item.number}|${order.fingerprint}|`;
}
