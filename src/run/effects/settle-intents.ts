import type { EffectRecord } from "../../domain/ledger.ts";
import type { ToolName } from "../../domain/tools.ts";
import type { LookContext } from "./context.ts";
import { keyPrefix } from "./effect-key.ts";
import type { Intent, Made } from "./find-or-create.ts";
import { findHandIn } from "./hand-in.ts";
import { findPull } from "./open-pull-request.ts";
import { recordPush } from "./record-push.ts";
import { findMerge } from "./request-merge.ts";
import { findReview } from "./submit-review.ts";
import { findComment } from "./write-comment.ts";

/**
 * Looks on the forge for every effect of this order that was begun and has no result, and records
 * those that are there: what an attempt that died has done is known before the next one is told
 * anything, and at the end of a run. Throws ForgeFailure and GitFailure.
 */
export async function settleIntents(context: LookContext): Promise<void> {
  const prefix = keyPrefix(context.item, context.order);
  for (const record of await context.effects.openIntents(context.item)) {
    if (!record.key.startsWith(prefix)) continue;
    if (record.tool === "push") {
      const sha = record.key.slice(prefix.length).split("|")[1] ?? "";
      if ((await context.git.remoteHead(context.item.repo, context.branch)) === sha) {
        await recordPush(context, record, sha);
      }
      continue;
    }
    const found = await look(context, record);
    if (found === null) continue;
    await context.effects.finish(record.id, { state: "done", ref: found.ref, text: found.text });
    context.log.info("effect found", { effect: record.tool, ref: found.ref ?? "" });
  }
}

async function look(context: LookContext, record: EffectRecord): Promise<Made | null> {
  const intent: Intent = { key: record.key, since: record.at, isRepeated: true };
  const tool = record.tool as ToolName;
  switch (tool) {
    case "open_pull_request":
      return await findPull(context, intent);
    case "hand_in":
      return await findHandIn(context, intent);
    case "submit_review":
      return await findReview(context, intent);
    case "request_merge":
      return await findMerge(context);
    case "decline_merge":
    case "reply":
    case "ask_human":
      return await findComment(context, tool, intent);
    default:
      return null;
  }
}
