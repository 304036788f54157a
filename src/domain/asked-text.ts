import { agentOf, isInsider } from "./people.ts";
import type { Policy } from "./policy.ts";
import type { ItemRef, Snapshot } from "./snapshot.ts";

/** What an issue said when an act that gave it to an agent was first seen. */
export interface AskedText {
  /** The act, see `Trigger.id`. */
  readonly trigger: string;
  /** SHA-256 of title and body, hex: who may edit them may also look for two texts with one short digest. */
  readonly digest: string;
}

/** What the names under which texts of items are kept begin with. */
export const ASKED_TEXT_KEY = "asked-text:";
/** And those under which the first account of a named login is kept. */
export const ACCOUNT_KEY = "account:";

/** The name under which the service keeps the text of an item. */
export function askedTextKey({ repo, number }: ItemRef): string {
  return `${ASKED_TEXT_KEY}${repo}#${number}`;
}

/** The item of such a name without its beginning; null: it is none of ours. */
export function itemOfAskedText(name: string): ItemRef | null {
  const match = /^(.+)#([1-9][0-9]{0,14})$/u.exec(name);
  return match?.[1] === undefined ? null : { repo: match[1], number: Number(match[2]) };
}

/** What the issue says now, under the act that gave it. */
export function askedTextOf(trigger: string, { title, body }: Snapshot): AskedText {
  const hash = new Bun.CryptoHasher("sha256").update(`${title.length} ${title}\n${body}`);
  return { trigger, digest: hash.digest("hex") };
}

/** The text as it is kept, for `readAskedText`. */
export function writeAskedText({ trigger, digest }: AskedText): string {
  return `${digest} ${trigger}`;
}

/** What `writeAskedText` has written; null: nothing, or none of ours. */
export function readAskedText(kept: string | null): AskedText | null {
  const match = /^([0-9a-f]{64}) (.+)$/u.exec(kept ?? "");
  return match?.[1] === undefined || match[2] === undefined
    ? null
    : { digest: match[1], trigger: match[2] };
}

/** Whether somebody without write access can change what the issue says. */
export function isOutsidersText(snapshot: Snapshot, policy: Policy): boolean {
  const { author } = snapshot;
  return (
    agentOf(author, { snapshot, policy }) === undefined && !isInsider(author, snapshot, policy)
  );
}

/**
 * Whether an outsider's issue says something else than when the act that gives it was first seen:
 * nobody has asked for that. `asked`: what is kept; null: nothing, or of another act.
 */
export function isEditedSince(
  asked: AskedText | null,
  trigger: string,
  { snapshot, policy }: { snapshot: Snapshot; policy: Policy },
): boolean {
  if (asked === null || asked.trigger !== trigger) return false;
  if (!isOutsidersText(snapshot, policy)) return false;
  return askedTextOf(trigger, snapshot).digest !== asked.digest;
}
