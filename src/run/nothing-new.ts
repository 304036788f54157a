import type { RunOrder } from "../domain/decision.ts";
import type { Ledger, RunRecord } from "../domain/ledger.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { isFulfilled } from "../domain/texts.ts";
import { deltaOf } from "../sessions/delta.ts";
import type { Plan } from "../sessions/plan.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";
import { readerOf } from "./prompt-for-run.ts";

/**
 * The last run of the session if its answer still stands: it was fulfilled, the same is asked of it at
 * the same head, and the forge shows nothing that its session has not been shown. Then the agent would
 * be asked about nothing. Null otherwise. Decisions rule this out by fingerprints; this holds even if
 * one of those were lost.
 */
export async function standingRun(
  deps: RunDependencies,
  frame: {
    readonly order: RunOrder;
    readonly plan: Plan;
    readonly snapshot: Snapshot;
    readonly ledger: Ledger;
    readonly settings: RepositorySettings;
  },
): Promise<RunRecord | null> {
  const { order, plan, snapshot } = frame;
  const last = plan.kind === "start" ? null : plan.last;
  if (last === null || !isFulfilled(last)) return null;
  if (last.skill !== order.skill || last.headSha !== order.headSha) return null;
  const before = await deps.store.runs.seen(last.id);
  if (before === null) return null;
  return deltaOf(before, snapshot, readerOf(frame)).parts.length === 0 ? last : null;
}
