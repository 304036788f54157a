import type { RunOrder } from "../../domain/decision.ts";
import type { ItemRef } from "../../domain/snapshot.ts";
import type { ToolName } from "../../domain/tools.ts";

/**
 * The key of an effect: work item, fingerprint of the run, tool, and what it answers or the
 * how-manieth it is; never its words, because every attempt words it differently.
 */
export function effectKey(
  item: ItemRef,
  order: Pick<RunOrder, "fingerprint">,
  effect: { readonly tool: ToolName; readonly detail: string },
): string {
  return `${item.repo}#${item.number}|${order.fingerprint}|${effect.tool}|${effect.detail}`;
}
