import { setTimeout as wait } from "node:timers/promises";
import type { Ledger, Park } from "../domain/ledger.ts";
import { mayGoOn } from "../domain/may-go-on.ts";
import type { PolicyAgent } from "../domain/policy.ts";
import { PROFILES, SKILL_TOOLS } from "../domain/skill.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { type Finding, verify } from "../domain/verify.ts";
import type { AgentReport } from "../ports/agent.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { EgressDoor, GatewayDoor } from "../ports/gateway.ts";
import { GitFailure } from "../ports/git.ts";
import type { Log } from "../ports/observe.ts";
import type { RunClaim, SessionRow } from "../ports/store.ts";
import { type Plan, planSession } from "../sessions/plan.ts";
import { sessionKey } from "../sessions/key.ts";
import { converse, nudgePrompt } from "./conversation.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";
import { createEffects } from "./effects/carry-out.ts";
import type { EffectContext } from "./effects/context.ts";
import { type Verdict, verdictOn } from "./outcome.ts";
import { composeForRun, type RunPrompt } from "./prompt-for-run.ts";
import { type RunWatch, watchRun } from "./watch-run.ts";
import { type PreparedWorkspace, prepareWorkspace } from "./workspace.ts";

const LOOK_FOR_EFFECT_MS = 30_000;
const LOOK_EVERY_MS = 1000;
const TURNS_MAX = 200;
const NOT_STARTED_RETRY_MS = 30_000;

/** Everything one run knows once it is prepared. */
interface Frame {
  readonly claim: RunClaim;
  readonly run: string;
  readonly settings: RepositorySettings;
  readonly agent: PolicyAgent;
  readonly snapshot: Snapshot;
  readonly ledger: Ledger;
  readonly prepared: PreparedWorkspace;
  readonly plan: Plan;
  readonly session: SessionRow;
  readonly prompt: RunPrompt;
  readonly watch: RunWatch;
  readonly log: Log;
}

/**
 * Executes one claimed order from workspace to outcome and gives the claim back, whatever happens.
 * A run that could not even be prepared (forge or git away) leaves no trace but a retry time.
 */
export async function executeRun(
  claim: RunClaim,
  deps: RunDependencies,
  shutdown: AbortSignal,
): Promise<void> {
  const settings = deps.repository(claim.item.repo);
  const agent = settings?.policy.agents.find(({ name }) => name === claim.order.agent);
  if (settings === null || agent === undefined) {
    await deps.store.work.settleRun(claim, { notBefore: null, park: null });
    return;
  }
  const watch = watchRun(claim, deps, { settings, shutdown });
  let after: { notBefore: number | null; park: Park | null } = { notBefore: null, park: null };
  try {
    const frame = await prepare(deps, { claim, settings, agent, watch });
    if (frame !== null) after = await perform(deps, frame);
  } catch (error) {
    const known = error instanceof ForgeFailure || error instanceof GitFailure;
    const reason = known ? `${error.name}: ${error.message}` : String(error);
    deps.log[known ? "warn" : "error"]("run could not be carried out", { ...names(claim), reason });
    after = { notBefore: deps.now() + NOT_STARTED_RETRY_MS, park: null };
  } finally {
    await watch.end();
    await deps.store.work.settleRun(claim, after);
  }
}

/** Null when the run has no reason any more or its lease is lost. */
async function prepare(
  deps: RunDependencies,
  given: { claim: RunClaim; settings: RepositorySettings; agent: PolicyAgent; watch: RunWatch },
): Promise<Frame | null> {
  const { claim, settings, agent, watch } = given;
  const { item, order } = claim;
  const snapshot = await deps.readSnapshot(item);
  const { policy } = settings;
  const answer = mayGoOn(order, { snapshot, policy, paused: false, done: false });
  if (!answer.ok) return null;
  const run = deps.newId();
  const prepared = await prepareWorkspace(deps, { item, order, run, snapshot, settings });
  const ledger = await deps.store.ledger.read(item);
  const key = sessionKey(agent.name, item.repo, item.number);
  const stored = await deps.store.sessions.get(key);
  const home = deps.sessionHome(item, agent.name);
  const plan = planSession({
    session: stored,
    hasTranscript: stored !== null && (await deps.agent.hasTranscript(home, stored.sessionId)),
    skill: order.skill,
    ledger,
    newId: deps.newId(),
  });
  const workspaceText = prepared.text;
  const composing = { order, run, plan, snapshot, ledger, settings, workspaceText };
  const prompt = await composeForRun(deps, composing);
  const session = sessionFor({ stored, plan, key, prompt, now: deps.now() }, claim);
  if (watch.stopped() !== null) return null;
  const attempt = await deps.store.runs.start(claim, {
    id: run,
    item,
    order,
    session,
    resumed: plan.kind !== "start",
    startedAt: deps.now(),
    shown: prompt.shown,
    promptBytes: Buffer.byteLength(prompt.text),
  });
  if (attempt === null) return null;
  deps.sessionsChanged();
  const log = withFields(deps.log, { ...names(claim), run, attempt });
  return { ...given, run, snapshot, ledger, prepared, plan, session, prompt, log };
}

async function perform(
  deps: RunDependencies,
  frame: Frame,
): Promise<{ notBefore: number | null; park: Park | null }> {
  const { claim, run, settings, session, plan, prompt, watch, log } = frame;
  const startedAt = deps.now();
  log.info(plan.kind === "start" ? "starting session" : "resuming session", {
    session: session.sessionId,
    resumed: plan.kind !== "start",
    prompt_bytes: Buffer.byteLength(prompt.text),
  });
  const door = await deps.gateway.open({ runId: run, usdLimit: settings.policy.limits.usdPerRun });
  const egress = await deps.egress.open(settings.network);
  let current = session;
  try {
    const context = effectContext(deps, frame);
    const effects = createEffects(context);
    const ended = await converse(
      {
        sessionId: session.sessionId,
        resume: plan.kind !== "start",
        prompt: prompt.text,
        nudge: (finding) =>
          nudgePrompt(finding, {
            order: claim.order,
            item: claim.item,
            run,
            tools: SKILL_TOOLS[claim.order.skill],
          }),
      },
      {
        ask: async (ask) => await askAgent(deps, { ...frame, door, egress, effects, ask }),
        look: async () => await lookForEffects(deps, frame, context),
        isStopped: () => watch.stopped() !== null,
        startFresh: async () => {
          log.warn("session lost, starting fresh", { session: current.sessionId });
          deps.metrics.resumed("lost");
          const fresh = await startFresh(deps, frame);
          current = fresh.session;
          return { sessionId: fresh.session.sessionId, prompt: fresh.prompt.text };
        },
      },
    );
    const verdict = verdictOn(ended.end, {
      finding: ended.finding,
      stop: watch.stopped(),
      skill: claim.order.skill,
      now: deps.now(),
    });
    await finish(deps, { ...frame, session: current }, { verdict, ended, door, startedAt });
    return { notBefore: verdict.park?.until ?? null, park: verdict.park };
  } finally {
    await door.close();
    await egress?.close();
  }
}

async function askAgent(
  deps: RunDependencies,
  frame: Frame & {
    door: GatewayDoor;
    egress: EgressDoor | null;
    effects: ReturnType<typeof createEffects>;
    ask: { sessionId: string; resume: boolean; prompt: string };
  },
): Promise<AgentReport> {
  const { claim, run, agent, settings, prepared, watch, door, egress, effects, ask, log } = frame;
  const { order, item } = claim;
  return await deps.agent.run(
    {
      runId: run,
      model: deps.agentSettings(agent.name).model,
      clone: prepared.workspace.path,
      home: deps.sessionHome(item, agent.name),
      session: { id: ask.sessionId, resume: ask.resume },
      system: deps.prompts().system,
      prompt: ask.prompt,
      profile: PROFILES[order.skill],
      tools: SKILL_TOOLS[order.skill],
      door,
      egressSocket: egress?.socket ?? null,
      read: settings.read,
      limits: { usd: settings.policy.limits.usdPerRun, turns: TURNS_MAX },
    },
    {
      spawned: async (process) => {
        await deps.store.runs.spawned(run, process);
        log.info("cli started", { pid: process.pid });
      },
      heard: (event) => {
        watch.alive();
        if (event.kind === "init" && ask.resume) deps.metrics.resumed("resumed");
      },
      call: async (call) => {
        const answer = await effects(call);
        if (answer.ok && call.tool !== "reply") watch.effectDone();
        return answer;
      },
    },
    watch.signal,
  );
}

/** Looks at the forge; while an effect of the order is recorded but not shown yet, again for up to 30 s. */
async function lookForEffects(
  deps: RunDependencies,
  { claim, settings }: Frame,
  context: EffectContext,
): Promise<Finding> {
  const prefix = `${claim.item.repo}#${claim.item.number}|${claim.order.fingerprint}|`;
  const until = deps.now() + LOOK_FOR_EFFECT_MS;
  for (;;) {
    const ledger = await deps.store.ledger.read(claim.item);
    const effects = ledger.effects.filter(({ key }) => key.startsWith(prefix));
    let finding: Finding = { kind: "unknown", reason: "the forge did not answer" };
    try {
      finding = verify(claim.order, {
        snapshot: await deps.readSnapshot(claim.item),
        policy: settings.policy,
        effects,
        pushedSha: context.pushed.sha,
      });
    } catch (error) {
      if (!(error instanceof ForgeFailure)) throw error;
    }
    const worthWaiting = finding.kind === "unknown" || effects.length > 0;
    if (finding.kind === "fulfilled" || !worthWaiting || deps.now() > until) return finding;
    await wait(LOOK_EVERY_MS);
  }
}

async function startFresh(
  deps: RunDependencies,
  frame: Frame,
): Promise<{ session: SessionRow; prompt: RunPrompt }> {
  const { claim, run, snapshot, settings, prepared, session } = frame;
  const ledger = await deps.store.ledger.read(claim.item);
  const plan: Plan = { kind: "start", sessionId: deps.newId(), why: "the conversation was lost" };
  const prompt = await composeForRun(deps, {
    order: claim.order,
    run,
    plan,
    snapshot,
    ledger,
    settings,
    workspaceText: prepared.text,
  });
  const fresh: SessionRow = {
    ...session,
    sessionId: plan.sessionId,
    updatedAt: deps.now(),
    resumes: 0,
    usdTotal: 0,
  };
  await deps.store.runs.sessionChanged(run, fresh);
  deps.sessionsChanged();
  return { session: fresh, prompt };
}

async function finish(
  deps: RunDependencies,
  frame: Frame,
  result: {
    verdict: Verdict;
    ended: Awaited<ReturnType<typeof converse>>;
    door: GatewayDoor;
    startedAt: number;
  },
): Promise<void> {
  const { run, session, agent, claim, plan, log } = frame;
  const { verdict, ended, door, startedAt } = result;
  const { tokens, usd: metered } = door.meter();
  // The CLI's total carries over on resume; a killed CLI reported none, then the gateway's count holds.
  const usd = ended.usdTotal > 0 ? Math.max(0, ended.usdTotal - session.usdTotal) : metered;
  const endedAt = deps.now();
  await deps.store.runs.end({
    id: run,
    endedAt,
    outcome: verdict.outcome,
    reason: verdict.reason,
    usd,
    tokens,
    session: {
      ...session,
      updatedAt: endedAt,
      resumes: session.resumes + (plan.kind === "start" ? 0 : 1),
      usdTotal: session.usdTotal + usd,
    },
  });
  deps.sessionsChanged();
  const { skill } = claim.order;
  const seconds = (endedAt - startedAt) / 1000;
  deps.metrics.runEnded({ agent: agent.name, skill, outcome: verdict.outcome, seconds });
  deps.metrics.usd(agent.name, usd);
  deps.metrics.tokens(agent.name, "input", tokens.input);
  deps.metrics.tokens(agent.name, "output", tokens.output);
  deps.metrics.tokens(agent.name, "cache_read", tokens.cacheRead);
  deps.metrics.tokens(agent.name, "cache_write", tokens.cacheWrite);
  log.info("run ended", {
    session: session.sessionId,
    outcome: verdict.outcome,
    reason: verdict.reason,
    usd,
    seconds,
  });
}

function effectContext(deps: RunDependencies, frame: Frame): EffectContext {
  const { claim, run, agent, settings, snapshot, prepared, ledger, watch, prompt, log } = frame;
  const before = ledger.runs.findLast(
    (other) => other.fingerprint === claim.order.fingerprint && other.pushedSha !== null,
  );
  return {
    item: claim.item,
    order: claim.order,
    run,
    agent,
    policy: settings.policy,
    snapshot,
    workspace: prepared.workspace,
    branch: prepared.branch,
    reader: deps.forge.reader,
    actor: deps.forge.actor(agent.name),
    git: deps.git,
    effects: deps.store.effects,
    runs: deps.store.runs,
    pulls: deps.store.pulls,
    look: async () => await deps.readSnapshot(claim.item),
    tainted: ledger.tainted || prompt.tainted,
    now: deps.now,
    log,
    signal: watch.signal,
    pushed: { sha: before?.pushedSha ?? null, remote: prepared.workspace.remoteSha },
    oneMerge: deps.oneMerge,
  };
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

function names({ item, order }: RunClaim): Record<string, string | number> {
  return { repo: item.repo, number: item.number, agent: order.agent, skill: order.skill };
}

function withFields(log: Log, fields: Record<string, string | number>): Log {
  return {
    debug: (message, more) => log.debug(message, { ...fields, ...more }),
    info: (message, more) => log.info(message, { ...fields, ...more }),
    warn: (message, more) => log.warn(message, { ...fields, ...more }),
    error: (message, more) => log.error(message, { ...fields, ...more }),
  };
}
