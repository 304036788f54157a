import type { EffectRecord } from "../../domain/ledger.ts";
import type { LookContext } from "./context.ts";
import { effectKey } from "./effect-key.ts";

/** Whether this sha, which the branch has on the forge, was pushed by this order; then that is on record now. */
export async function settlePush(context: LookContext, sha: string): Promise<boolean> {
  const key = effectKey(context.item, context.order, { tool: "push", detail: sha });
  const open = await context.effects.openIntents(context.item);
  const record = open.find((one) => one.key === key);
  if (record === undefined) return false;
  await recordPush(context, record, sha);
  return true;
}

/** Writes down that an intended push has reached the forge, as the act of the run that intended it. */
export async function recordPush(
  context: LookContext,
  record: EffectRecord,
  sha: string,
): Promise<void> {
  await context.runs.pushed(record.run, context.branch, sha);
  const text = `${context.branch} stands at ${sha}.`;
  await context.effects.finish(record.id, { state: "done", ref: null, text });
}
