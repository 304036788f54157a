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

/** The line that ends every text we write, by which it is found again. Two hyphens would end the comment early. */
function hiddenLine(key: string): string {
  return `<!-- claude-hooks:${key.replaceAll("--", "-%2D")} -->`;
}

/** A text with its hidden line. */
export function withHiddenLine(body: string, key: string): string {
  return `${body.trimEnd()}\n\n${hiddenLine(key)}`;
}

/** Whether this text carries the key and was written by this account: anybody could copy the line. */
export function isOurs(
  text: { readonly body: string; readonly author: { readonly login: string } },
  key: string,
  login: string,
): boolean {
  return (
    text.author.login.toLowerCase() === login.toLowerCase() && text.body.includes(hiddenLine(key))
  );
}
