import {
  type AskedText,
  askedTextKey,
  askedTextOf,
  isOutsidersText,
  readAskedText,
  writeAskedText,
} from "../domain/asked-text.ts";
import { isPermitted } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { assignments, triggerFor } from "../domain/trigger.ts";
import type { Store } from "../ports/store.ts";

/**
 * Keeps what an outsider's issue says when a permitted person's act that gives it to an agent is
 * first seen; one row per such issue. Resolves with what is kept, or null for every other issue.
 */
export async function noteAskedText(
  { store }: { readonly store: Pick<Store, "meta"> },
  snapshot: Snapshot,
  policy: Policy,
): Promise<AskedText | null> {
  if (snapshot.kind !== "issue" || !isOutsidersText(snapshot, policy)) return null;
  const given = assignments(snapshot, policy).find(({ agent }) =>
    agent.skills.includes("implement"),
  );
  const trigger = given === undefined ? null : triggerFor(given.agent, snapshot, policy);
  if (trigger === null || !isPermitted(trigger.person, snapshot, policy)) return null;
  const key = askedTextKey(snapshot.item);
  const kept = readAskedText(await store.meta.get(key));
  if (kept !== null && kept.trigger === trigger.id) return kept;
  const asked = askedTextOf(trigger.id, snapshot);
  await store.meta.set(key, writeAskedText(asked));
  return asked;
}
