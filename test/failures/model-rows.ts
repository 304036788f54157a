import { createServer } from "node:net";
import { use } from "../../demo/model/conversation.ts";
import { type ModelEndpoint, type Step, startModelEndpoint } from "../../demo/model/endpoint.ts";
import type { Respond, RunWish } from "../support/agent-world.ts";
import { HOUR, KEPT, LATER, type Row, SUCCEEDED } from "./row.ts";
import { ANSWER, type Provoked, type Stage } from "./stage.ts";
export function apiRows(): readonly Row[] {
  const wait = (reason: string, blockedMs: number | null = null) =>
    ({
      end: { kind: "wait", reason },
      outcome: "parked",
      reason: `${reason}: `,
      blockedMs,
      ...KEPT,
    }) as const;
  const blocked = (reason: string) =>
    ({ ...wait(reason), end: { kind: "operator", reason } }) as const;
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
      ...blocked("auth"),
      requests: 3,
    },
    {
      name: "403",
      ...answer(403, "permission_error", "not allowed"),
      ...blocked("auth"),
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
      ...blocked("credit"),
    },
    {
      name: "402",
      ...answer(402, "billing_error", "pay first"),
      ...blocked("credit"),
      requests: 1,
    },
    {
      name: "the account's own usage cap",
      ...bad("You have reached your specified API usage limits."),
      ...blocked("credit"),
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
export function fullRows(): readonly Row[] {
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

export function networkRows(): readonly Row[] {
  const network = {
    end: { kind: "wait", reason: "network" },
    outcome: "parked",
    reason: "network: ",
    blockedMs: null,
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

export function limitRows(): readonly Row[] {
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
