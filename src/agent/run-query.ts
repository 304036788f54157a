import { type Query, query, type SDKMessage } from "@anthropic-ai/claude-agent-sdk";
import type { AgentListener, AgentReport, AgentRequest } from "../ports/agent.ts";
import type { Jail, JailSpec, Processes } from "../ports/jail.ts";
import { agentEvents } from "./agent-events.ts";
import { classify, type LastResult, type Thrown } from "./classify.ts";
import { createForgeServer } from "./forge-server.ts";
import { type HeardResult, heardMessage } from "./heard-message.ts";
import { agentOptions } from "./options.ts";
import { type StartedProcess, startProcess } from "./start-process.ts";
import type { TranscriptMirror } from "./transcript-mirror.ts";

/** What every query shares. */
export interface QueryContext {
  readonly jail: Jail;
  readonly processes: Processes;
  readonly now: () => number;
  readonly binary: string;
  readonly grace: { readonly interruptMs: number; readonly closeMs: number };
}

/** What is asked of this one. */
export interface QueryCall {
  readonly request: AgentRequest;
  readonly listener: AgentListener;
  readonly signal: AbortSignal;
  /** Where hosts share transcripts; it is closed when the process is gone. */
  readonly mirror: TranscriptMirror | null;
}

/** What the stream has told so far. */
interface Heard {
  began: boolean;
  result: LastResult | null;
  assistantError: string | null;
  limitResetsAt: number | null;
  broken: string | null;
  turns: number;
  usdTotal: number;
  denials: number;
  lastDeltaAt: number;
}

/** Deltas of an answer come by the hundred; one a second is sign of life enough. */
const DELTA_MS_MIN = 1_000;

/**
 * One query from its start to the exit of its process. The stream is read to its very end (several
 * results are possible: the last one counts), and nothing is returned while the process lives.
 */
export async function runQuery(context: QueryContext, call: QueryCall): Promise<AgentReport> {
  const { request, listener, signal, mirror } = call;
  const heard: Heard = {
    began: false,
    result: null,
    assistantError: null,
    limitResetsAt: null,
    broken: null,
    turns: 0,
    usdTotal: 0,
    denials: 0,
    lastDeltaAt: 0,
  };
  let started: StartedProcess | null = null;
  let thrown: Thrown | null = null;
  let stopping: Promise<void> | null = null;
  let running: Query | null = null;
  const stop = (): void => {
    if (running !== null) stopping ??= stopQuery(running, context.grace.interruptMs);
  };
  try {
    // May throw at once, e.g. for a program of another format.
    running = startQuery(context, call, (process) => {
      started = process;
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    for await (const message of running) hear(heard, message, context.now, listener);
  } catch (error) {
    thrown = thrownOf(error);
  }
  signal.removeEventListener("abort", stop);
  await stopping;
  if (started !== null) await ended(started, context);
  await mirror?.close();
  const end = classify({
    ...heard,
    thrown,
    aborted: signal.aborted,
    limitResetsAt: heard.limitResetsAt ?? request.door.meter().limitResetsAt ?? null,
    retryAt: request.door.meter().retryAt,
    stderr: stderrOf(started),
    refusal: refusalOf(started),
    broken: brokenOf(started) ?? heard.broken,
  });
  const { began, turns, usdTotal, denials } = heard;
  return { end, began, turns, usdTotal, denials };
}

function startQuery(
  { jail, processes, binary }: QueryContext,
  { request, listener, mirror }: QueryCall,
  onStart: (process: StartedProcess) => void,
): Query {
  const spec: JailSpec = {
    clone: request.clone,
    home: request.home,
    gatewaySocket: request.door.socket,
    egressSocket: request.egressSocket,
    read: request.read,
    env: {},
  };
  const { inside } = jail.command(spec, binary, []);
  const gatewayUrl = inside.gatewayUrl ?? request.door.url;
  if (gatewayUrl === null) throw new Error("the gateway has no url for a run without a sandbox");
  const options = agentOptions(request, {
    inside: { ...inside, gatewayUrl },
    binary,
    forge: createForgeServer(request.tools, (call, id) => listener.call(call, id)),
    sessionStore: mirror?.sessionStore ?? null,
    spawn(wanted) {
      const env = Object.fromEntries(
        Object.entries(wanted.env).flatMap(([name, value]) =>
          value === undefined ? [] : [[name, value]],
        ),
      );
      const command = jail.command({ ...spec, env }, wanted.command, wanted.args);
      const started = startProcess(command, processes, (identity) => listener.spawned(identity));
      onStart(started);
      return started.forSdk;
    },
  });
  return query({ prompt: request.prompt, options });
}

const stderrOf = (started: StartedProcess | null): string => started?.stderr() ?? "";
const refusalOf = (started: StartedProcess | null): string | null => started?.refusal() ?? null;
const brokenOf = (started: StartedProcess | null): string | null => started?.broken() ?? null;

/** Interrupting lets the CLI write down what it was doing; closing ends it whether it did or not. */
async function stopQuery(running: Query, interruptMs: number): Promise<void> {
  await within(
    interruptMs,
    running.interrupt().then(
      () => undefined,
      // Not started or already gone: closing is all that is left.
      () => undefined,
    ),
  );
  running.close();
}

/** Waits for the process, and kills it with everything it started when it stays. */
async function ended(process: StartedProcess, { processes, grace }: QueryContext): Promise<void> {
  await within(grace.closeMs, process.exited);
  if (process.identity !== null) await processes.end(process.identity);
  await process.exited;
}

/** Resolves with the promise, or without it after `ms`. */
async function within(ms: number, promise: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

function hear(heard: Heard, message: SDKMessage, now: () => number, listener: AgentListener): void {
  const said = heardMessage(message);
  if (said.kind === "delta") {
    if (now() - heard.lastDeltaAt < DELTA_MS_MIN) return;
    heard.lastDeltaAt = now();
  }
  if (said.kind === "init") heard.began = true;
  if (said.kind === "assistant") heard.assistantError = said.error;
  if (said.kind === "limit") heard.limitResetsAt = said.resetsAt;
  if (said.kind === "unreadable") heard.broken = said.problem;
  if (said.kind === "result") {
    const { result } = said;
    heard.broken = null;
    heard.result = lastResult(result);
    heard.turns += result.num_turns;
    heard.usdTotal = result.total_cost_usd;
    heard.denials = Math.max(heard.denials, result.permission_denials.length);
  }
  for (const event of agentEvents(message)) listener.heard(event);
}

function lastResult(result: HeardResult): LastResult {
  const isSuccess = result.subtype === "success";
  return {
    subtype: result.subtype,
    isError: result.is_error,
    text: isSuccess ? result.result : "",
    errors: isSuccess ? [] : result.errors,
    turns: result.num_turns,
    apiStatus: (isSuccess ? result.api_error_status : null) ?? null,
    terminalReason: result.terminal_reason ?? null,
    startupFailure: (isSuccess ? null : result.startup_failure_reason) ?? null,
    stopReason: result.stop_reason ?? null,
  };
}

function thrownOf(error: unknown): Thrown {
  if (!(error instanceof Error))
    return { errorClass: null, exitCode: null, message: String(error) };
  const errorClass = "errorClass" in error ? String(error.errorClass) : null;
  const exitCode = "exitCode" in error ? Number(error.exitCode) : null;
  return { errorClass, exitCode, message: error.message };
}
