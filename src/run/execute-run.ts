import { askedTextKey, isEditedSince, readAskedText } from "../domain/asked-text.ts";
import { spentBudget } from "../domain/budget.ts";
import type { Ledger, Park, RunRecord } from "../domain/ledger.ts";
import { mayGoOn } from "../domain/may-go-on.ts";
import type { PolicyAgent } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import type { SessionPlace } from "../ports/agent.ts";
import type { CloneUse } from "../ports/git.ts";
import type { RunClaim } from "../ports/store/claims.ts";
import type { RunStart } from "../ports/store/runs.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import { sessionKey } from "../sessions/key.ts";
import { isResumed, type Plan, planSession } from "../sessions/plan.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";
import { settleIntents } from "./effects/settle-intents.ts";
import { type Frame, runFields, withFields } from "./frame.ts";
import { notPrepared } from "./not-prepared.ts";
import { standingRun } from "./nothing-new.ts";
import { DoorFailure } from "./open-doors.ts";
import { performRun } from "./perform-run.ts";
import { composeForRun, type RunPrompt } from "./prompt-for-run.ts";
import { type RunWatch, watchRun } from "./watch-run.ts";
import { prepareWorkspace } from "./workspace.ts";

/** The state changed between the decision and the run: the next decision knows more. */
const OVERTAKEN = { name: "overtaken", reason: "the state has changed", ms: 5000 };

/**
 * Executes one claimed order from workspace to outcome and gives the claim back, whatever happens.
 * A run that could not even be prepared (forge or git away) leaves no trace but a retry time, and
 * counts as no failure.
 */
export async function executeRun(
  claim: RunClaim,
  deps: RunDependencies,
  ending: AbortSignal,
): Promise<void> {
  const settings = deps.repository(claim.item.repo);
  const agent = settings?.policy.agents.find(({ name }) => name === claim.order.agent);
  if (settings === null || agent === undefined) {
    await deps.store.work.settleRun(claim, { notBefore: null, park: null });
    return;
  }
  const watch = watchRun(claim, deps, { settings, ending });
  let park: Park | null = null;
  let clone: CloneUse | null = null;
  try {
    // A run whose lease was lost may not be quite gone yet.
    clone = await deps.git.use(claim.item, agent.name);
    const frame = await prepare(deps, { claim, settings, agent, watch, clone });
    if (frame !== null) park = await endedInAnyCase(deps, frame);
    // Who stopped it has said how it goes on.
    else if (watch.stopped() === null) park = wait(deps, claim, OVERTAKEN);
  } catch (error) {
    park = await notPrepared(deps, claim, error);
  } finally {
    clone?.release();
    await watch.end();
    const { skill: row } = claim.order;
    await deps.store.work.settleRun(claim, { notBefore: null, park, row });
  }
}

/** Performs the run; whatever breaks, also before Claude is asked, its row gets an end: one without would count as alive. */
async function endedInAnyCase(deps: RunDependencies, frame: Frame): Promise<Park | null> {
  try {
    return await performRun(deps, frame);
  } catch (error) {
    // Changes nothing when the run has an end already.
    await deps.store.runs.end({
      id: frame.run,
      endedAt: deps.now(),
      ...(error instanceof DoorFailure
        ? { outcome: "parked", reason: error.message }
        : { outcome: "failed", reason: "the service broke while carrying it out" }),
      session: frame.session,
    });
    throw error;
  }
}

/** Null when the run has no reason any more or its lease is lost. */
async function prepare(
  deps: RunDependencies,
  given: {
    claim: RunClaim;
    settings: RepositorySettings;
    agent: PolicyAgent;
    watch: RunWatch;
    clone: CloneUse;
  },
): Promise<Frame | null> {
  const { claim, settings, agent, watch } = given;
  const { item, order } = claim;
  const snapshot = await deps.readSnapshot(item);
  const { policy } = settings;
  const answer = mayGoOn(order, { snapshot, policy, done: false });
  if (!answer.ok) return null;
  if (await isEditedMeanwhile(deps, claim, snapshot)) return null;
  // Others may have used up the money while the order waited for a slot.
  const spending = await deps.store.ledger.spending(item);
  if (spentBudget(spending, policy.limits, deps.now()) !== null) return null;
  const run = deps.newId();
  const { signal } = watch;
  const prepared = await prepareWorkspace(deps, { item, order, run, snapshot, settings, signal });
  if (watch.stopped() !== null) return null;
  await settleIntents({
    ...{ item, order, agent, snapshot, branch: prepared.branch, git: deps.git, log: deps.log },
    ...{ effects: deps.store.effects, runs: deps.store.runs, pulls: deps.store.pulls },
    reader: deps.forge.reader,
    actor: deps.forge.actor(agent.name),
    look: async () => await deps.readSnapshot(item),
  });
  const ledger = await deps.store.ledger.read(item);
  const { key, stored, plan } = await planOf(deps, { claim, settings, ledger });
  const composing = { order, run, plan, snapshot, ledger, settings, prepared };
  const prompt = await composeForRun(deps, composing);
  const standing = await standingRun(deps, composing);
  const session = sessionFor({ stored, plan, key, prompt, now: deps.now() }, claim);
  if (watch.stopped() !== null) return null;
  const attempt = await deps.store.runs.start(claim, {
    id: run,
    item,
    order,
    session,
    resumed: isResumed(plan),
    startedAt: deps.now(),
    ...(await toldBy(deps, plan, prompt)),
    promptBytes: Buffer.byteLength(prompt.text),
    ...beginningOf(plan),
  });
  if (attempt === null) return null;
  deps.sessionsChanged();
  const log = withFields(deps.log, { ...runFields(claim), run, attempt });
  const replaced = stored !== null && stored.sessionId !== session.sessionId ? stored : null;
  return {
    ...given,
    run,
    snapshot,
    ledger,
    prepared,
    plan,
    session,
    replaced,
    prompt,
    standing,
    log,
  };
}

/** An outsider changed the issue while its order waited: the next decision says what comes of that. */
async function isEditedMeanwhile(
  deps: RunDependencies,
  { item, order }: RunClaim,
  snapshot: Snapshot,
): Promise<boolean> {
  const policy = deps.repository(item.repo)?.policy;
  if (order.skill !== "implement" || policy === undefined) return false;
  const asked = readAskedText(await deps.store.meta.get(askedTextKey(item)));
  return asked !== null && isEditedSince(asked, asked.trigger, { snapshot, policy });
}

/** How the run meets its session: the stored one, if there is one, and what is to become of its conversation. */
async function planOf(
  deps: RunDependencies,
  given: { claim: RunClaim; settings: RepositorySettings; ledger: Ledger },
): Promise<{ readonly key: string; readonly stored: SessionRow | null; readonly plan: Plan }> {
  const { claim, settings, ledger } = given;
  const { item, order } = claim;
  const key = sessionKey(order.agent, item.repo, item.number);
  const stored = await deps.store.sessions.get(key);
  const place = { key, home: deps.sessionHome(item, order.agent) };
  const hasTranscript =
    stored !== null && (await deps.agent.hasTranscript(place, stored.sessionId));
  const [newest] = await deps.store.conversations.of(key, 1);
  const ofSession = ledger.runs.filter(({ session }) => session === stored?.sessionId);
  const plan = planSession({
    session: stored,
    newest: newest ?? null,
    hasTranscript,
    told: hasTranscript ? await toldRun(deps, place, { stored, ledger }) : null,
    lastReason: ofSession.at(-1)?.reason ?? null,
    skill: order.skill,
    limits: settings.policy.limits,
    newId: deps.newId(),
    now: deps.now(),
  });
  return { key, stored, plan };
}

/** A conversation that is asked for a hand-over is told nothing new by that: a kill then leaves it as it was. */
async function toldBy(
  deps: RunDependencies,
  plan: Plan,
  prompt: RunPrompt,
): Promise<Pick<RunStart, "shown" | "seen">> {
  const { shown, seen } = prompt;
  if (plan.kind !== "rotate" || plan.last === null) return { shown, seen };
  return { shown: plan.last.shown, seen: (await deps.store.runs.seen(plan.last.id)) ?? seen };
}

/** Of a conversation that was chosen before, the reason is known already. */
function beginningOf(plan: Plan): Pick<RunStart, "begins"> {
  if (plan.kind !== "start" || plan.why === null) return {};
  return { begins: { why: plan.why, handOver: plan.handOver } };
}

/** The newest run of the session whose prompt is in its transcript: that is what the session knows. */
async function toldRun(
  deps: RunDependencies,
  place: SessionPlace,
  { stored, ledger }: { stored: SessionRow; ledger: Ledger },
): Promise<RunRecord | null> {
  const runs = ledger.runs.filter(({ session }) => session === stored.sessionId);
  for (const run of runs.toReversed()) {
    if (await deps.agent.holdsPrompt(place, stored.sessionId, run.id)) return run;
  }
  return null;
}

function sessionFor(
  from: { stored: SessionRow | null; plan: Plan; key: string; prompt: RunPrompt; now: number },
  { item, order }: RunClaim,
): SessionRow {
  const { stored, plan, key, prompt, now } = from;
  const kept = stored !== null && stored.sessionId === plan.sessionId ? stored : null;
  return {
    key,
    agent: order.agent,
    repo: item.repo,
    number: item.number,
    sessionId: plan.sessionId,
    createdAt: kept?.createdAt ?? now,
    updatedAt: now,
    resumes: kept?.resumes ?? 0,
    tainted: (kept?.tainted ?? false) || prompt.tainted,
    usdTotal: kept?.usdTotal ?? 0,
  };
}

/** A wait of the run's own row: everything else about the item goes on. */
function wait(
  deps: RunDependencies,
  { order }: RunClaim,
  why: { name: string; reason: string; ms: number },
): Park {
  const now = deps.now();
  return { row: order.skill, name: why.name, reason: why.reason, until: now + why.ms, since: now };
}
