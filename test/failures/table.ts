import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import { type ModelEndpoint, type Step, startModelEndpoint } from "../../demo/model/endpoint.ts";
import { createAgent } from "../../src/agent/create-agent.ts";
import type { Outcome } from "../../src/domain/ledger.ts";
import type { AgentEnd, AgentReport, AgentRequest } from "../../src/ports/agent.ts";
import { createJail } from "../../src/sandbox/create-jail.ts";
import { git, type Respond, type RunWish } from "../support/agent-world.ts";
import { killing, SLEEPING, stopping } from "./interrupt.ts";
import { ANSWER, type Provoked, type Stage } from "./stage.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** A wait for a time that nobody named. */
const LATER = 5 * MINUTE;

/** One row of the failure table. */
export interface Row {
  /** As it stands in docs/failures.md. */
  readonly name: string;
  /** Brings the failure about; what it returns is part of the run. */
  readonly provoke?: (stage: Stage) => Promise<Provoked> | Provoked;
  readonly respond?: Respond;
  /** What the disk says to do, before the run that fails. */
  readonly before?: "start" | "resume" | "continue";
  /** How the first asking of the CLI ends. */
  readonly end: { readonly kind: AgentEnd["kind"] } & Readonly<Record<string, unknown>>;
  /** What the run did in order; by default one asking in the old session and one look at the forge. */
  readonly steps?: readonly string[];
  readonly outcome: Outcome;
  /** How the reason in the ledger begins. */
  readonly reason: string;
  /** How long its row is held back, in milliseconds; absent: not at all, the next attempt is the queue's. */
  readonly parkedMs?: number;
  /** How the next run meets the session. */
  readonly next: "resume" | "continue" | "rotate";
  /** The conversation of the run before is still there. */
  readonly kept: boolean;
  /** What the next run does; by default one asking that succeeds. */
  readonly nextSteps?: readonly string[];
  /** How often the model was asked, where that is part of the promise. */
  readonly requests?: number;
}

const DONE: Provoked = { findings: ["fulfilled"] };
const SUCCEEDED = { outcome: "succeeded", reason: "the forge shows it", next: "resume" } as const;
/** Told, but not done: the next run goes on with the true state, and the order is not repeated. */
const KEPT = { next: "continue", kept: true } as const;

/** The lost conversation was not replaced yet: the next run does it. */
const STILL_LOST = { next: "continue", nextSteps: ["resume", "look", "start", "look"] } as const;

export const ROWS: readonly Row[] = [
  ...lostRows(),
  ...damagedRows(),
  ...killedRows(),
  ...apiRows(),
  ...fullRows(),
  ...networkRows(),
  ...limitRows(),
  ...operatorRows(),
  ...harmlessRows(),
];

/** No such conversation: the only rows in which a new one begins. */
function lostRows(): readonly Row[] {
  const gone: readonly (readonly [string, (stage: Stage) => Promise<unknown>])[] = [
    [
      "unknown session",
      async (stage) =>
        await rm(stage.world.home, { recursive: true }).then(() => mkdir(stage.world.home)),
    ],
    ["deleted transcript", async (stage) => await rm(stage.transcript())],
    ["empty transcript", async (stage) => await writeFile(stage.transcript(), "")],
    [
      "other config directory",
      async ({ world }) => {
        await rename(world.home, join(world.dir, "other-home"));
        await mkdir(world.home);
      },
    ],
  ];
  const lost = {
    end: { kind: "session_lost" },
    steps: ["resume", "look", "start", "look"],
    ...SUCCEEDED,
    kept: false,
  } as const;
  return [
    ...gone.flatMap(([name, provoke]): Row[] => [
      {
        name,
        provoke: async (stage) => {
          await provoke(stage);
          return DONE;
        },
        before: "start",
        end: { kind: "completed" },
        steps: ["start", "look"],
        ...SUCCEEDED,
        kept: false,
        requests: 1,
      },
      {
        name: `${name}, resumed all the same`,
        provoke: async (stage) => {
          await provoke(stage);
          return { insist: true, findings: ["open", "fulfilled"] };
        },
        before: "start",
        ...lost,
        requests: 1,
      },
    ]),
    {
      name: "garbage instead of a transcript",
      provoke: async (stage) => {
        await writeFile(stage.transcript(), "\0garbage{{{\n".repeat(20));
        return { findings: ["open", "fulfilled"] };
      },
      before: "continue",
      ...lost,
      requests: 1,
    },
    {
      name: "lost conversation whose work the forge shows",
      provoke: async (stage) => {
        await writeFile(stage.transcript(), "\0garbage{{{\n".repeat(20));
        return DONE;
      },
      ...lost,
      steps: ["resume", "look"],
      ...STILL_LOST,
      requests: 0,
    },
    {
      name: "lost conversation while the forge is away",
      provoke: async (stage) => {
        await writeFile(stage.transcript(), "\0garbage{{{\n".repeat(20));
        return { findings: ["unknown"] };
      },
      ...lost,
      steps: ["resume", "look"],
      ...STILL_LOST,
      outcome: "parked",
      reason: "forge: away",
      parkedMs: MINUTE,
      requests: 0,
    },
  ];
}

function damagedRows(): readonly Row[] {
  const damaged = (name: string, damage: (text: string) => string): Row => ({
    name,
    provoke: async (stage) => {
      await writeFile(stage.transcript(), damage(await readFile(stage.transcript(), "utf8")));
      return DONE;
    },
    before: "resume",
    end: { kind: "completed" },
    ...SUCCEEDED,
    kept: true,
  });
  return [
    damaged("truncated transcript", (text) => text.slice(0, -40)),
    damaged("garbage line in a transcript", (text) => `${text}{"type":"user","mess\n`),
    damaged("NUL bytes at the end of a transcript", (text) => text + "\0".repeat(4096)),
  ];
}

function killedRows(): readonly Row[] {
  const died = { end: { kind: "died" }, outcome: "failed", reason: "died", ...KEPT } as const;
  return [
    {
      name: "SIGKILL at init",
      respond: SLEEPING,
      provoke: () => killing("SIGKILL", "init"),
      ...died,
    },
    {
      name: "SIGKILL at the first message",
      respond: SLEEPING,
      provoke: () => killing("SIGKILL", "text"),
      ...died,
    },
    {
      name: "SIGKILL mid-tool",
      respond: SLEEPING,
      provoke: () => killing("SIGKILL", "tool"),
      ...died,
    },
    {
      name: "SIGTERM mid-tool",
      respond: SLEEPING,
      provoke: () => killing("SIGTERM", "tool"),
      ...died,
    },
    {
      name: "abort mid-tool",
      respond: SLEEPING,
      provoke: () => stopping({ outcome: "cancelled", reason: "paused" }, "tool"),
      end: { kind: "interrupted" },
      outcome: "cancelled",
      reason: "paused",
      ...KEPT,
    },
    {
      name: "hanging endpoint",
      respond: () => ({ hang: true }),
      provoke: (stage) =>
        stopping(
          { outcome: "stalled", reason: "stall_minutes" },
          () => stage.world.main().length > 0,
        ),
      end: { kind: "interrupted" },
      outcome: "stalled",
      reason: "stall_minutes",
      ...KEPT,
    },
  ];
}

function apiRows(): readonly Row[] {
  const wait = (reason: string, parkedMs = LATER) =>
    ({
      end: { kind: "wait", reason },
      outcome: "parked",
      reason: `${reason}: `,
      parkedMs,
      ...KEPT,
    }) as const;
  const operator = (reason: string) =>
    ({
      end: { kind: "operator", reason },
      outcome: "parked",
      reason: `${reason}: `,
      parkedMs: LATER,
      ...KEPT,
    }) as const;
  const answer = (status: number, type: string, message: string, headers = {}) => ({
    respond: () => ({ status, headers, body: { type: "error", error: { type, message } } }),
  });
  const bad = (message: string) => answer(400, "invalid_request_error", message);
  const reset = (ms: number) => `${Math.ceil((Date.now() + ms) / 1000)}`;
  return [
    {
      name: "401",
      ...answer(401, "authentication_error", "invalid x-api-key"),
      ...operator("auth"),
      requests: 3,
    },
    {
      name: "403",
      ...answer(403, "permission_error", "not allowed"),
      ...operator("auth"),
      requests: 1,
    },
    {
      name: "404 for the model",
      ...answer(404, "not_found_error", "model: claude-x"),
      ...operator("model"),
    },
    {
      name: "credit balance too low",
      ...bad("Your credit balance is too low to access the API."),
      ...operator("credit"),
    },
    {
      name: "402",
      ...answer(402, "billing_error", "pay first"),
      ...operator("credit"),
      requests: 1,
    },
    {
      name: "the account's own usage cap",
      ...bad("You have reached your specified API usage limits."),
      ...operator("credit"),
    },
    { name: "another 400", ...bad("tools.0: bad"), ...operator("config") },
    {
      name: "429 without retry-after",
      ...answer(429, "rate_limit_error", "slow down"),
      ...wait("rate_limit"),
      requests: 3,
    },
    {
      name: "429 with retry-after",
      ...answer(429, "rate_limit_error", "slow down", { "retry-after": "3600" }),
      ...wait("rate_limit", HOUR),
      requests: 1,
    },
    {
      name: "subscription limit",
      respond: () => ({
        status: 429,
        headers: {
          "anthropic-ratelimit-unified-status": "rejected",
          "anthropic-ratelimit-unified-representative-claim": "five_hour",
          "anthropic-ratelimit-unified-reset": reset(2 * HOUR),
          "retry-after": "7200",
        },
        body: { type: "error", error: { type: "rate_limit_error", message: "over the limit" } },
      }),
      ...wait("usage_limit", 2 * HOUR),
      requests: 1,
    },
    {
      name: "529",
      ...answer(529, "overloaded_error", "Overloaded"),
      ...wait("overloaded"),
      requests: 3,
    },
    {
      name: "500",
      ...answer(500, "api_error", "Internal server error"),
      ...wait("server"),
      requests: 3,
    },
    { name: "502", ...answer(502, "api_error", "Bad gateway"), ...wait("server"), requests: 3 },
    {
      name: "refusal",
      respond: () => ({ text: "I will not.", stopReason: "refusal" }),
      end: { kind: "refusal" },
      outcome: "failed",
      reason: "refusal",
      ...KEPT,
      requests: 2,
    },
  ];
}

/** The model refuses the old conversation for its size: what has been said is of no use any more. */
function fullRows(): readonly Row[] {
  const tooLong = {
    status: 400,
    body: {
      type: "error",
      error: {
        type: "invalid_request_error",
        message: "prompt is too long: 210000 tokens > 200000 maximum",
      },
    },
  };
  const tooLarge = {
    status: 413,
    body: { type: "error", error: { type: "request_too_large", message: "too large" } },
  };
  const full = {
    end: { kind: "context_full" },
    steps: ["resume", "look", "start", "look"],
    kept: false,
  } as const;
  const onlyOld =
    (refused: Step): Respond =>
    ({ raw }) =>
      raw.includes(ANSWER) ? refused : { text: "done" };
  const provoke = (): Provoked => ({ findings: ["open", "fulfilled"] });
  return [
    { name: "prompt too long", respond: onlyOld(tooLong), provoke, ...full, ...SUCCEEDED },
    { name: "413", respond: onlyOld(tooLarge), provoke, ...full, ...SUCCEEDED },
    {
      name: "prompt too long for a new conversation, too",
      respond: () => tooLong,
      ...full,
      outcome: "failed",
      reason: "context_full",
      next: "rotate",
    },
  ];
}

function networkRows(): readonly Row[] {
  const network = {
    end: { kind: "wait", reason: "network" },
    outcome: "parked",
    reason: "network: ",
    parkedMs: LATER,
    ...KEPT,
  } as const;
  return [
    {
      name: "connection refused",
      provoke: async (stage) => await away(stage, "refused"),
      ...network,
    },
    { name: "connection reset", provoke: async (stage) => await away(stage, "reset"), ...network },
    {
      name: "connection lost in the middle of an answer",
      respond: () => ({ text: "half of it ".repeat(300), destroy: true }),
      ...network,
    },
  ];
}

function limitRows(): readonly Row[] {
  const costly: Respond = () => ({
    ...use("Bash", { command: "true" }),
    usage: { output_tokens: 100_000 },
  });
  const limit = (name: string, reason: string, wish: RunWish): Row => ({
    name,
    respond: costly,
    provoke: () => ({ wish }),
    end: { kind: "limit", reason },
    outcome: "failed",
    reason: `limit_${reason}`,
    ...KEPT,
  });
  return [
    limit("max turns", "turns", { usdLimit: 1_000, limits: { usd: 1_000, turns: 2 } }),
    limit("the CLI's budget", "budget", { usdLimit: 1_000, limits: { usd: 0.5, turns: 50 } }),
    limit("the gateway's budget", "budget", { usdLimit: 1, limits: { usd: 1_000, turns: 50 } }),
    {
      name: "output limit",
      respond: () => ({ text: "cut off", stopReason: "max_tokens" }),
      end: { kind: "limit", reason: "output" },
      outcome: "failed",
      reason: "limit_output",
      ...KEPT,
    },
  ];
}

/** Nothing was asked, so the session is as it was. */
function operatorRows(): readonly Row[] {
  const untouched = (reason: string) =>
    ({
      end: { kind: "operator", reason },
      outcome: "parked",
      reason: `${reason}: `,
      parkedMs: LATER,
      next: "resume",
      kept: true,
      requests: 0,
    }) as const;
  return [
    {
      name: "removed clone",
      provoke: async ({ world }) => {
        await rename(world.clone, join(world.dir, "removed"));
        return { repair: async () => await git(world.dir, ["clone", "-q", "removed", "clone"]) };
      },
      ...untouched("launch"),
    },
    { name: "missing binary", provoke: withoutBinary, ...untouched("launch") },
    {
      name: "id already in use",
      provoke: (stage) => ({ wish: { session: { id: stage.session(), resume: false } } }),
      ...untouched("launch"),
    },
    {
      name: "damaged configuration of the CLI",
      provoke: async ({ world }) => {
        const path = join(world.home, ".claude.json");
        await writeFile(path, "{ not json");
        return { repair: async () => await rm(path) };
      },
      ...untouched("config"),
    },
  ];
}

/** What goes wrong inside a run is the agent's to read: it ends nothing. */
function harmlessRows(): readonly Row[] {
  const harmless = (name: string, steps: readonly Step[], wish: RunWish = {}): Row => ({
    name,
    provoke: ({ world }) => {
      let step = 0;
      world.script(() => steps[step++] ?? { text: "done" });
      return { ...DONE, wish };
    },
    end: { kind: "completed" },
    ...SUCCEEDED,
    kept: true,
    requests: steps.length + 1,
  });
  const streamError = { type: "overloaded_error", message: "Overloaded" };
  return [
    harmless("error event in the middle of a stream", [{ text: "half", streamError }]),
    harmless("failing forge call", [use("mcp__forge__reply", { body: "Hello" })], {
      call: () => Promise.resolve({ ok: false, text: "the forge answered 502" }),
    }),
    harmless("failing shell command", [use("Bash", { command: "echo broken >&2; exit 7" })]),
    harmless("a tool that prints the words of a lost session", [
      use("Bash", { command: "echo No conversation found with session ID: $RANDOM; exit 1" }),
    ]),
  ];
}

/** The model's server is not there, or breaks every connection off; both until `repair`. */
async function away({ world }: Stage, how: "refused" | "reset"): Promise<Provoked> {
  const { port } = world.endpoint;
  await world.endpoint.stop();
  const breaking = how === "reset" ? await breakEveryConnection(port) : null;
  let back: ModelEndpoint | null = null;
  return {
    async repair() {
      await breaking?.();
      back = startModelEndpoint({ port, respond: () => ({ text: ANSWER }) });
    },
    main: () => back?.requests.filter(({ main }) => main) ?? [],
    close: async () => await back?.stop(),
  };
}

async function breakEveryConnection(port: number): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.resetAndDestroy());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return async () => {
    await new Promise((resolve) => server.close(resolve));
  };
}

/** The agent looks for its program before anything else, so the rest of the request may be empty. */
function withoutBinary({ world }: Stage): Provoked {
  const jail = createJail({ mode: "bwrap", dir: join(world.dir, "jail") });
  const { processes, clone, home } = world;
  const agent = createAgent({ jail, processes, now: Date.now, binary: "/none/claude" });
  const tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
  const request: AgentRequest = {
    runId: "r1",
    model: "claude-opus-5-5",
    clone,
    home,
    session: { id: crypto.randomUUID(), resume: true },
    system: "",
    prompt: "",
    profile: "author",
    tools: [],
    door: {
      socket: "/none.sock",
      url: null,
      credential: "none",
      meter: () => ({ tokens, usd: 0, requests: 0, contextTokens: 0, retryAt: null }),
      close: () => Promise.resolve(),
    },
    egressSocket: null,
    read: [],
    limits: { usd: 1, turns: 1 },
  };
  const listener = {
    spawned: () => Promise.resolve(),
    heard: () => undefined,
    call: () => Promise.resolve({ ok: true, text: "" }),
  };
  const ask = async (): Promise<AgentReport> =>
    await agent.run(request, listener, new AbortController().signal);
  return { ask };
}
