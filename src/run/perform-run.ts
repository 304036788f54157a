import type { Park } from "../domain/ledger.ts";
import { PROFILES, SKILL_TOOLS } from "../domain/skill.ts";
import type { AgentReport } from "../ports/agent.ts";
import type { EgressDoor, GatewayDoor } from "../ports/gateway.ts";
import type { SessionRow } from "../ports/store.ts";
import type { Plan } from "../sessions/plan.ts";
import { converse, nudgePrompt } from "./conversation.ts";
import type { RunDependencies } from "./dependencies.ts";
import { createEffects, type Effects } from "./effects/carry-out.ts";
import { effectContext } from "./effects/for-run.ts";
import type { Frame } from "./frame.ts";
import { lookForEffects } from "./look-for-effects.ts";
import { type Verdict, verdictOn } from "./outcome.ts";
import { composeForRun, type RunPrompt } from "./prompt-for-run.ts";

const TURNS_MAX = 200;

/** Talks with Claude in the prepared place, verifies on the forge, and writes the outcome. */
export async function performRun(deps: RunDependencies, frame: Frame): Promise<Park | null> {
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
    await finish(deps, { ...frame, session: current }, { verdict, door, startedAt });
    return verdict.park;
  } catch (error) {
    // A run that has begun is ended, whatever broke: a row without an end would count as alive.
    await finish(
      deps,
      { ...frame, session: current },
      {
        verdict: {
          outcome: "failed",
          reason: "the service broke while carrying it out",
          park: null,
        },
        door,
        startedAt,
      },
    );
    throw error;
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
    effects: Effects;
    ask: { sessionId: string; resume: boolean; prompt: string };
  },
): Promise<AgentReport> {
  const { claim, run, agent, settings, prepared, watch, door, egress, effects, ask, log } = frame;
  const { order, item } = claim;
  const report = await deps.agent.run(
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
        watch.alive();
        await deps.store.runs.spawned(run, process);
        log.info("cli started", { pid: process.pid });
      },
      heard: (event) => {
        watch.alive();
        if (event.kind === "init" && ask.resume) deps.metrics.resumed("resumed");
      },
      call: async (call) => {
        const answer = await effects.call(call);
        if (answer.ok && call.tool !== "reply" && call.tool !== "ask_human") watch.effectDone();
        return answer;
      },
    },
    watch.signal,
  );
  // A call may still be under way when the CLI is gone: its effect belongs to this run.
  await effects.idle();
  return report;
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
    prepared,
  });
  const fresh: SessionRow = {
    ...session,
    sessionId: plan.sessionId,
    updatedAt: deps.now(),
    resumes: 0,
    usdTotal: 0,
  };
  await deps.store.runs.sessionChanged(run, fresh, prompt);
  deps.sessionsChanged();
  return { session: fresh, prompt };
}

async function finish(
  deps: RunDependencies,
  frame: Frame,
  result: {
    verdict: Verdict;
    door: GatewayDoor;
    startedAt: number;
  },
): Promise<void> {
  const { run, session, agent, claim, plan, log } = frame;
  const { verdict, door, startedAt } = result;
  // Counted by the gateway, not told by the CLI: an agent with a shell could speak in its place.
  const { tokens, usd } = door.meter();
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
