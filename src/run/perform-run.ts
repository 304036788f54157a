import type { Park, RunRecord } from "../domain/ledger.ts";
import { PROFILES, SKILL_TOOLS, sessionTools } from "../domain/skill.ts";
import type { AgentReport } from "../ports/agent.ts";
import type { EgressDoor, GatewayDoor } from "../ports/gateway.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import { isResumed } from "../sessions/plan.ts";
import { type ConversationEnd, converse, nudgePrompt } from "./conversation.ts";
import type { RunDependencies } from "./dependencies.ts";
import { createEffects, type Effects } from "./effects/carry-out.ts";
import { effectContext } from "./effects/for-run.ts";
import type { Frame } from "./frame.ts";
import { keepMeter, type MeterKeeper } from "./keep-meter.ts";
import { lookForEffects } from "./look-for-effects.ts";
import { openDoors } from "./open-doors.ts";
import { type Verdict, verdictOn } from "./outcome.ts";
import { dropReplaced, type Fresh, rotateSession, startFresh } from "./rotate-session.ts";
import { tellGates, tellPassed } from "./tell-gates.ts";

const TURNS_MAX = 200;
/** A hand-over is one answer; a call of a tool that is not there costs a turn. */
const HAND_OVER_TURNS_MAX = 3;

/** Talks with Claude in the prepared place, verifies on the forge, and writes the outcome. */
export async function performRun(deps: RunDependencies, frame: Frame): Promise<Park | null> {
  const { claim, run, plan, watch } = frame;
  const startedAt = deps.now();
  if (frame.standing !== null) return await letStand(deps, frame, frame.standing);
  if (plan.kind !== "rotate") {
    logBeginning(frame, { session: frame.session, prompt: frame.prompt }, isResumed(plan));
  }
  const { door, egress } = await openDoors(deps, frame);
  const meter = keepMeter(deps, run, door);
  // Which conversation goes on now, and how many requests were made before it.
  const current = { session: frame.session, requestsBefore: 0 };
  const end = async (verdict: Verdict): Promise<void> => {
    await meter.idle();
    await finish(deps, { ...frame, ...current }, { verdict, door, startedAt });
  };
  try {
    const ended = await talk(deps, { ...frame, door, egress, meter, current });
    const { parks: earlier } = await deps.store.ledger.read(claim.item);
    const { modelGate: gate } = deps.agentSettings(frame.agent.name);
    const verdict = verdictOn(ended.end, {
      finding: ended.finding,
      stop: watch.stopped(),
      waits: ended.waits,
      skill: claim.order.skill,
      model: { gate, meter: door.meter() },
      earlier,
      now: deps.now(),
      chance: deps.chance(),
    });
    await tellGates(deps, frame, { end: ended.end, verdict, meter: door.meter() });
    await end(verdict);
    const replaced = [
      frame.session.sessionId,
      frame.replaced?.sessionId ?? current.session.sessionId,
    ];
    await dropReplaced(deps, frame, { current: current.session.sessionId, replaced });
    return verdict.park;
  } catch (error) {
    // A run that has begun is ended, whatever broke: a row without an end would count as alive.
    const reason = "the service broke while carrying it out";
    await end({ outcome: "failed", reason, park: null, blocker: null });
    throw error;
  } finally {
    await door.close();
    await egress?.close();
  }
}

/** Nobody is asked about nothing: the answer that was given stands, and the order with it. */
async function letStand(
  deps: RunDependencies,
  { run, session, agent, claim, log }: Frame,
  { id, outcome }: RunRecord,
): Promise<null> {
  const reason = `nothing is new since run ${id}`;
  const end = { outcome: outcome ?? "succeeded", reason };
  await deps.store.runs.end({ id: run, endedAt: deps.now(), ...end, session });
  const { skill } = claim.order;
  deps.metrics.runEnded({ agent: agent.name, skill, outcome: end.outcome, seconds: 0 });
  log.info("run ended", { session: session.sessionId, ...end, usd: 0, seconds: 0 });
  return null;
}

interface Talking extends Frame {
  readonly door: GatewayDoor;
  readonly egress: EgressDoor | null;
  readonly meter: MeterKeeper;
  readonly current: { session: SessionRow; requestsBefore: number };
}

/** Everything that is said in a run: the hand-over of a session that is rotated, then the work. */
async function talk(
  deps: RunDependencies,
  frame: Talking,
): Promise<ConversationEnd & { readonly waits: Park | null }> {
  const { claim, run, plan, watch, log, current, door } = frame;
  const context = effectContext(deps, frame);
  const effects = createEffects(context);
  const look = async () => await lookForEffects(deps, frame, context);
  const goOnWith = (fresh: Fresh): { sessionId: string; prompt: string } => {
    current.session = fresh.session;
    current.requestsBefore = door.meter().requests;
    return { sessionId: fresh.session.sessionId, prompt: fresh.prompt.text };
  };
  let first = { sessionId: frame.session.sessionId, prompt: frame.prompt.text };
  if (plan.kind === "rotate") {
    const fresh = await rotateSession(deps, frame, async (ask) => {
      return await askAgent(deps, { ...frame, effects: null, ask: { ...ask, resume: true } });
    });
    if ("kind" in fresh) return { end: fresh, finding: await look(), waits: null };
    first = goOnWith(fresh);
    logBeginning(frame, fresh, false);
  }
  const tools = SKILL_TOOLS[claim.order.skill];
  const { order, item } = claim;
  const ended = await converse(
    {
      ...first,
      resume: isResumed(plan),
      nudge: (finding) => nudgePrompt(finding, { order, item, run, tools }),
    },
    {
      ask: async (ask) => await askAgent(deps, { ...frame, effects, ask }),
      look,
      isStopped: () => watch.stopped() !== null || context.waits.park !== null,
      startFresh: async (why) => {
        const words = why === "lost" ? "session lost" : "context full";
        log.warn(`${words}, starting fresh`, { session: current.session.sessionId });
        if (why === "lost") deps.metrics.resumed("lost");
        const { runs } = await deps.store.ledger.read(item);
        const unfinished = why === "lost" ? null : (runs.find(({ id }) => id === run) ?? null);
        return goOnWith(await startFresh(deps, frame, { why, handOver: null, unfinished }));
      },
    },
  );
  return { ...ended, waits: context.waits.park };
}

function logBeginning({ log }: Frame, { session, prompt }: Fresh, resumed: boolean): void {
  log.info(resumed ? "resuming session" : "starting session", {
    session: session.sessionId,
    resumed,
    prompt_bytes: Buffer.byteLength(prompt.text),
  });
}

/** Asks Claude once. Without `effects` it is asked for a hand-over: it has no tools, only words. */
async function askAgent(
  deps: RunDependencies,
  frame: Talking & {
    effects: Effects | null;
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
      profile: effects === null ? "none" : PROFILES[order.skill],
      tools: effects === null ? [] : sessionTools(agent.skills),
      door,
      egressSocket: egress?.socket ?? null,
      read: settings.read,
      limits: {
        usd: settings.policy.limits.usdPerRun,
        turns: effects === null ? HAND_OVER_TURNS_MAX : TURNS_MAX,
      },
      keeping: {
        session: frame.session.key,
        holder: { owner: claim.owner, fence: claim.fence },
        holdsLease: () => watch.holdsLease(),
      },
    },
    {
      spawned: async (process) => {
        watch.alive();
        frame.clone.child(() => deps.processes.isAlive(process));
        await deps.store.runs.spawned(run, process);
        log.info("cli started", { pid: process.pid });
      },
      heard: (event) => {
        watch.alive();
        if (event.kind === "tool") watch.calling(1);
        if (event.kind === "tool_result") watch.calling(-1);
        frame.meter.note();
        tellPassed(deps, frame, event);
        if (event.kind === "init" && ask.resume && effects !== null)
          deps.metrics.resumed("resumed");
      },
      call: async (call) => {
        if (effects === null) return { ok: false, text: "this is a hand-over: only answer" };
        const answer = await effects.call(call);
        if (answer.ok && call.tool !== "reply" && call.tool !== "ask_human") watch.effectDone();
        return answer;
      },
    },
    watch.signal,
  );
  // A call may still be under way when the CLI is gone: its effect belongs to this run.
  await effects?.idle();
  return report;
}

async function finish(
  deps: RunDependencies,
  frame: Frame & { readonly requestsBefore: number },
  result: {
    verdict: Verdict;
    door: GatewayDoor;
    startedAt: number;
  },
): Promise<void> {
  const { run, session, agent, claim, plan, log, requestsBefore } = frame;
  const { verdict, door, startedAt } = result;
  // Counted by the gateway, not told by the CLI: an agent with a shell could speak in its place.
  const { tokens, usd, requests, contextTokens } = door.meter();
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
      resumes: session.resumes + (isResumed(plan) && session.sessionId === plan.sessionId ? 1 : 0),
      usdTotal: session.usdTotal + usd,
    },
    ...(requests > requestsBefore ? { contextTokens } : {}),
  });
  if (requests > requestsBefore) await keepPrefix(deps, frame);
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

/** What its next request begins with, if nobody changes the agent. */
async function keepPrefix(
  deps: RunDependencies,
  { session, agent }: Pick<Frame, "session" | "agent">,
): Promise<void> {
  const { model, tools } = deps.agentSettings(agent.name);
  const { key, sessionId } = session;
  await deps.store.prefixes.put({ key, session: sessionId, agent: agent.name, model, tools });
}
