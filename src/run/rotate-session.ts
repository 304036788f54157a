import type { RunRecord } from "../domain/ledger.ts";
import { isFulfilled } from "../domain/texts.ts";
import type { AgentEnd, AgentReport } from "../ports/agent.ts";
import type { SessionStart } from "../ports/store/conversations.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import { parseHandOver } from "../sessions/hand-over.ts";
import type { StartPlan } from "../sessions/plan.ts";
import type { RunDependencies } from "./dependencies.ts";
import type { Frame } from "./frame.ts";
import { headLine } from "./prompt.ts";
import { HAND_OVER_FILE } from "./prompt-files.ts";
import { composeForRun, promptText, type RunPrompt } from "./prompt-for-run.ts";

/** A conversation that has been begun in place of another one, and its first prompt. */
export interface Fresh {
  readonly session: SessionRow;
  readonly prompt: RunPrompt;
}

/**
 * Asks the old conversation for its hand-over, if it can still answer, and begins the new one with
 * it. What the model's server or the operator must mend first ends the run instead, and the old
 * conversation stays: it is asked again when that is over.
 */
export async function rotateSession(
  deps: RunDependencies,
  frame: Frame,
  ask: (ask: { sessionId: string; prompt: string }) => Promise<AgentReport>,
): Promise<Fresh | AgentEnd> {
  const { plan, log, watch } = frame;
  if (plan.kind !== "rotate") throw new Error(`a plan to ${plan.kind} rotates nothing`);
  log.info("rotating session", { session: plan.sessionId, why: plan.why });
  let handOver: string | null = null;
  if (plan.canHandOver) {
    const { end } = await ask({
      sessionId: plan.sessionId,
      prompt: await handOverPrompt(deps, frame),
    });
    if (watch.stopped() !== null || isPassing(end)) return end;
    handOver = end.kind === "completed" ? parseHandOver(end.text) : null;
    if (handOver === null) log.warn("no hand-over, rotating without", { reason: end.kind });
  }
  const { last } = plan;
  const unfinished = last === null || isFulfilled(last) ? null : last;
  return await startFresh(deps, frame, { why: plan.why, handOver, unfinished });
}

/**
 * Begins a new conversation within the run: chooses its id, writes it down, and composes its full
 * prompt. It is tainted by what it is shown, and by what a tainted one has handed over.
 */
export async function startFresh(
  deps: RunDependencies,
  frame: Frame,
  given: { why: SessionStart; handOver: string | null; unfinished: RunRecord | null },
): Promise<Fresh> {
  const { claim, run, snapshot, settings, prepared, session } = frame;
  const ledger = await deps.store.ledger.read(claim.item);
  const plan: StartPlan = { kind: "start", sessionId: deps.newId(), ...given };
  const prompt = await composeForRun(deps, {
    order: claim.order,
    run,
    plan,
    snapshot,
    ledger,
    settings,
    prepared,
  });
  const now = deps.now();
  const fresh: SessionRow = {
    ...session,
    sessionId: plan.sessionId,
    createdAt: now,
    updatedAt: now,
    resumes: 0,
    tainted: prompt.tainted || (given.handOver !== null && session.tainted),
    usdTotal: 0,
  };
  const { why, handOver } = given;
  await deps.store.runs.sessionChanged(run, fresh, { ...prompt, begins: { why, handOver } });
  deps.sessionsChanged();
  return { session: fresh, prompt };
}

/**
 * Deletes what is left of the conversation this one took the place of, once this one lies on disk.
 * Call it when no process of the run lives any more.
 */
export async function dropReplaced(
  deps: RunDependencies,
  { claim, agent, session, log }: Frame,
  ids: { readonly current: string; readonly replaced: readonly string[] },
): Promise<void> {
  const place = { key: session.key, home: deps.sessionHome(claim.item, agent.name) };
  const old = ids.replaced.filter((id) => id !== ids.current);
  try {
    if (old.length === 0 || !(await deps.agent.hasTranscript(place, ids.current))) return;
    for (const id of old) await deps.agent.dropTranscript(place, id);
  } catch (error) {
    // It goes with all the others when the work item is done.
    log.warn("an old transcript could not be deleted", {
      sessions: old.join(),
      reason: `${error}`,
    });
  }
}

async function handOverPrompt(deps: RunDependencies, frame: Frame): Promise<string> {
  const { claim, run, settings } = frame;
  const { order, item } = claim;
  const head = headLine({ order, item, run, resumed: true });
  return `${head}\n\n${await promptText(deps, settings, HAND_OVER_FILE)}`;
}

/** Ends that pass by themselves or by the operator's hand: the conversation can answer afterwards. */
function isPassing({ kind }: AgentEnd): boolean {
  return kind === "wait" || kind === "operator" || kind === "interrupted";
}
