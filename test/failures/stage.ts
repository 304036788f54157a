import { cp } from "node:fs/promises";
import { join } from "node:path";
import type { RecordedRequest } from "../../demo/model/endpoint.ts";
import { hasTranscript } from "../../src/agent/has-transcript.ts";
import { holdsPrompt } from "../../src/agent/holds-prompt.ts";
import type { RunRecord } from "../../src/domain/ledger.ts";
import type { Finding } from "../../src/domain/verify.ts";
import type { AgentEnd, AgentReport } from "../../src/ports/agent.ts";
import type { RunMeter } from "../../src/ports/gateway.ts";
import type { SessionRow } from "../../src/ports/store/sessions.ts";
import { converse } from "../../src/run/conversation.ts";
import { type Verdict, verdictOn } from "../../src/run/outcome.ts";
import type { Stop } from "../../src/run/watch-run.ts";
import { isResumed, type Plan, planSession } from "../../src/sessions/plan.ts";
import { type AgentWorld, agentWorld, type RunWish } from "../support/agent-world.ts";

/** What the first run was told and answered: a conversation that is kept still holds both. */
export const TASK = "The task, told in full by the first run.";
export const ANSWER = "The answer of the first run.";
export const TASK_AGAIN = "The task, told in full once more.";

const FINDINGS: Readonly<Record<Finding["kind"], Finding>> = {
  open: { kind: "open", reason: "no_effect" },
  fulfilled: { kind: "fulfilled", outcome: "succeeded" },
  unknown: { kind: "unknown", reason: "away" },
};

const UNASKED: RunMeter = {
  tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  usd: 0,
  requests: 0,
  contextTokens: 0,
  retryAt: null,
};

/** A finished first run that rows begin with: its session and the directory that holds it. */
export interface History extends AsyncDisposable {
  readonly session: string;
  readonly home: string;
}

/** Runs `r0` once; every row works on a copy of what it left. */
export async function makeHistory(): Promise<History> {
  const world = await agentWorld();
  const session = crypto.randomUUID();
  world.script(() => ({ text: ANSWER }));
  const { report } = await world.run({
    session: { id: session, resume: false },
    prompt: promptOf("r0", "start", TASK),
  });
  if (report.end.kind !== "completed") throw new Error(JSON.stringify(report.end));
  return {
    session,
    home: world.home,
    [Symbol.asyncDispose]: async () => await world[Symbol.asyncDispose](),
  };
}

/** What a row makes of its run; `repair` ends the failure before the next run. */
export interface Provoked {
  readonly wish?: RunWish;
  /** Asks another CLI than the world's. */
  readonly ask?: (wish: RunWish) => Promise<AgentReport>;
  /** The service asks to resume although the disk holds no transcript. */
  readonly insist?: boolean;
  /** What the forge shows at each look; by default nothing of the work. */
  readonly findings?: readonly Finding["kind"][];
  readonly stop?: () => Stop | null;
  readonly repair?: () => Promise<unknown>;
  /** The requests of the conversation after the repair, if not the world's. */
  readonly main?: () => readonly RecordedRequest[];
  readonly close?: () => Promise<void>;
}

/** One run of a row, and what the ledger and the disk say after it. */
export interface StageRun {
  readonly verdict: Verdict;
  /** How each asking of the CLI ended. */
  readonly ends: readonly AgentEnd[];
  readonly plan: Plan["kind"];
  /** What was done in order: askings of the CLI and looks at the forge. */
  readonly steps: readonly string[];
  readonly now: number;
}

/** The service's own decisions about one session around runs of the real CLI. */
export interface Stage extends AsyncDisposable {
  readonly world: AgentWorld;
  readonly session: () => string;
  readonly transcript: () => string;
  run(id: string, how?: Provoked): Promise<StageRun>;
}

/** A world in which the first run has been. */
export async function openStage(history: History): Promise<Stage> {
  const world = await agentWorld();
  let { session } = history;
  await cp(history.home, world.home, { recursive: true });
  const records = [recordOf("r0", { session, outcome: "succeeded", reason: null })];

  let meter: RunMeter = UNASKED;
  const askWorld = async (wish: RunWish): Promise<AgentReport> => {
    const { report, door } = await world.run(wish);
    meter = door.meter();
    return report;
  };
  const planNow = async (): Promise<Plan> => {
    const known = await hasTranscript(world.home, session);
    let told: RunRecord | null = null;
    for (const record of records.toReversed()) {
      if (told === null && (await holdsPrompt(world.home, session, record.id))) told = record;
    }
    return planSession({
      session: rowOf(session),
      newest: null,
      lastReason: records.findLast((record) => record.session === session)?.reason ?? null,
      limits: { resumes: 100, contextTokens: 1_000_000, sessionDays: 100 },
      now: Date.now(),
      hasTranscript: known,
      told: known ? told : null,
      skill: "implement",
      newId: crypto.randomUUID(),
    });
  };

  return {
    world,
    session: () => session,
    transcript: () => join(world.home, "projects/-clone", `${session}.jsonl`),
    async run(id, how = {}) {
      const plan = await planNow();
      meter = UNASKED;
      const steps: string[] = [];
      const ends: AgentEnd[] = [];
      const findings = [...(how.findings ?? [])];
      const stopped = (): Stop | null => how.stop?.() ?? null;
      if (plan.kind === "rotate") session = crypto.randomUUID();
      const resume = how.insist === true || isResumed(plan);
      const full = promptOf(id, "start", TASK_AGAIN);
      const ended = await converse(
        {
          sessionId: session,
          resume,
          prompt: resume ? promptOf(id, "resume", "Go on.") : full,
          nudge: () => "Nothing shows.",
        },
        {
          ask: async ({ sessionId, resume, prompt }) => {
            steps.push(resume ? "resume" : "start");
            const asked = { runId: id, prompt, session: { id: sessionId, resume } };
            const report = await (how.ask ?? askWorld)({ ...asked, ...how.wish });
            ends.push(report.end);
            return report;
          },
          look: () => {
            steps.push("look");
            return Promise.resolve(FINDINGS[findings.shift() ?? "open"]);
          },
          startFresh: () => {
            session = crypto.randomUUID();
            return Promise.resolve({ sessionId: session, prompt: full });
          },
          isStopped: () => stopped() !== null,
        },
      );
      const now = Date.now();
      const { end, finding } = ended;
      const verdict = verdictOn(end, {
        finding,
        stop: stopped(),
        skill: "implement",
        model: { gate: "model:test", meter },
        earlier: [],
        now,
        chance: 0.5,
      });
      records.push(recordOf(id, { session, ...verdict }));
      return { verdict, ends, plan: plan.kind, steps, now };
    },
    [Symbol.asyncDispose]: async () => await world[Symbol.asyncDispose](),
  };
}

function promptOf(run: string, mode: "start" | "resume", text: string): string {
  return `claude-hooks: implement acme/widgets#1 as boss, run ${run}, ${mode}\n\n${text}`;
}

function rowOf(sessionId: string): SessionRow {
  return {
    key: "boss:acme/widgets#1",
    agent: "boss",
    repo: "acme/widgets",
    number: 1,
    sessionId,
    createdAt: Date.now(),
    updatedAt: 0,
    resumes: 0,
    tainted: false,
    usdTotal: 0,
  };
}

function recordOf(
  id: string,
  { session, outcome, reason }: Pick<RunRecord, "session" | "outcome" | "reason">,
): RunRecord {
  return {
    id,
    agent: "boss",
    skill: "implement",
    attempt: 1,
    fingerprint: "f",
    session,
    resumed: false,
    startedAt: 0,
    endedAt: 1,
    outcome,
    reason,
    usd: 0,
    tokens: 0,
    headSha: null,
    pushedSha: null,
    shown: [],
  };
}
