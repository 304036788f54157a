import { timingSafeEqual } from "node:crypto";
import { GATEWAY_ERRORS, type SpentQuestion } from "../ports/gateway.ts";
import { isAllowedModel } from "./allowed-model.ts";
import { type CheckedRequest, checkRequest } from "./check-request.ts";
import { counted } from "./counted.ts";
import type { DoorLoad, Entered } from "./load.ts";
import { budgetSpent, messagesError, outOfBudget } from "./messages-error.ts";
import type { PriceTable } from "./prices.ts";
import type { Meter, MostExpected } from "./run-meter.ts";
import { createSilenceWatch, Silence } from "./silence-watch.ts";

/** The real key. `oauth_token` is a subscription's token, which the API takes as a bearer token. */
export interface ModelCredential {
  readonly kind: "api_key" | "oauth_token";
  readonly value: string;
}

/** What a door needs to pass requests on. */
export interface ForwardOptions {
  /** Where the model's server is, without a trailing slash, e.g. https://api.anthropic.com */
  readonly upstream: string;
  readonly credential: ModelCredential;
  readonly now: () => number;
  readonly bodyBytesMax: number;
  /** How long a request may take to arrive. */
  readonly bodyMsMax: number;
  /** How long the model's server may be silent, before the first byte and between two. */
  readonly silenceMsMax: number;
}

/** The run whose door it is. `isOpen` turns false when the door has been closed. */
export interface ForwardRun {
  readonly dummy: string;
  readonly usdLimit: number;
  /** The model the run was given; null: any model with a price. */
  readonly model: string | null;
  readonly prices: PriceTable;
  readonly meter: Meter;
  readonly load: DoorLoad;
  readonly isOpen: () => boolean;
  readonly spent: SpentQuestion | null;
}

const MESSAGES = "/v1/messages";
const COUNT_TOKENS = "/v1/messages/count_tokens";
/** What the CLI sends behind the path. */
const SEARCHES = ["", "?beta=true"];

/** A token is hardly ever less; the context of a model holds a million of them. */
const BYTES_PER_TOKEN = 3;
const CONTEXT_TOKENS_MAX = 1_000_000;
/** The longest answer of today's models, for a request that does not say how long its own may be. */
const OUTPUT_TOKENS_MAX = 128_000;
/** Far above the speed at which any model writes. */
const TOKENS_PER_SECOND_MAX = 500;

/** RFC 9110 section 7.6.1, and what the gateway writes itself. */
const REQUEST_HEADERS_DROPPED = new Set(
  "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade host content-length accept-encoding x-api-key authorization cookie".split(
    " ",
  ),
);
const ANSWER_HEADERS_DROPPED = new Set(
  "connection keep-alive proxy-authenticate proxy-connection te trailer transfer-encoding upgrade set-cookie".split(
    " ",
  ),
);
/** What the API asks of a request that comes with a subscription's token. */
export const OAUTH_BETA = "oauth-2025-04-20";

/**
 * Passes one request of a run to the model's server: the dummy credential is checked and replaced,
 * the request is read and written anew, the answer goes back byte for byte, and its usage is counted
 * while it passes. Refusals have the shape of the Messages API. No redirect is followed, so the key
 * reaches no other host.
 */
export async function forward(
  options: ForwardOptions,
  run: ForwardRun,
  request: Request,
): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const isKnown = [MESSAGES, COUNT_TOKENS].includes(pathname) && SEARCHES.includes(search);
  if (request.method !== "POST" || !isKnown) {
    return messagesError(404, "not_found_error", "claude-hooks: only the Messages API is here");
  }
  if (!run.isOpen() || !isCredential(request.headers, run.dummy)) {
    return messagesError(401, "authentication_error", "claude-hooks: not the credential of a run");
  }
  const { usd } = run.meter.read();
  if (usd >= run.usdLimit) return budgetSpent(usd, run.usdLimit);
  const outOf = await askSpent(run);
  if (outOf !== null) {
    run.meter.outOf(outOf);
    return outOfBudget(outOf);
  }
  const entered = run.load.enter(bytesOf(request.headers) ?? options.bodyBytesMax);
  if (entered === "door") return tooMany("too many requests of this run are open");
  if (entered === "gateway") {
    return messagesError(529, "overloaded_error", "claude-hooks: the gateway is full");
  }
  let answer: Response | null = null;
  try {
    const body = await bodyOf(request, options.bodyMsMax);
    if (body === null) {
      return messagesError(
        408,
        "timeout_error",
        "claude-hooks: the request did not come to its end",
        {
          connection: "close",
        },
      );
    }
    const checked = checkRequest(body);
    if (!checked.ok) {
      return messagesError(403, "permission_error", `claude-hooks: ${checked.refusal}`);
    }
    if (!isAllowedModel(run.prices, run.model, checked.model)) {
      const message = `claude-hooks: this run may not use the model ${checked.model}`;
      return messagesError(404, "not_found_error", message);
    }
    if (pathname === MESSAGES && run.meter.committed() >= run.usdLimit) {
      return tooMany("the open requests of this run may use up its budget");
    }
    answer = await passOn(options, run, {
      request,
      entered,
      text: checked.text,
      most: most(pathname, checked),
    });
    return answer;
  } finally {
    // Whatever was passed on leaves at its own end.
    if (answer === null) entered.leave();
  }
}

/** The budget of several runs that has nothing left for another request, or null. */
async function askSpent({ spent, meter }: ForwardRun): Promise<string | null> {
  return spent === null ? null : spent(meter.read());
}

/** What is passed on, and its place in the gateway. */
interface Passed {
  readonly request: Request;
  readonly entered: Entered;
  readonly text: string;
  readonly most: MostExpected;
}

async function passOn(
  options: ForwardOptions,
  run: ForwardRun,
  { request, entered, text, most }: Passed,
): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const metered = run.meter.request(most);
  const startedAt = options.now();
  /** The status of an answer that is none. */
  let refused: number | null = null;
  const over = (how: "answered" | "failed" | "left"): void => {
    const seconds = Math.max(1, (options.now() - startedAt) / 1_000);
    if (how === "answered") run.meter.refusal(null);
    else if (how === "failed") run.meter.refusal({ status: refused });
    metered.end(how === "left" ? { leftAfterTokens: seconds * TOKENS_PER_SECOND_MAX } : how);
    entered.leave();
  };
  const silence = createSilenceWatch(options.silenceMsMax, request.signal);
  let answer: Response;
  try {
    answer = await fetch(`${options.upstream}${pathname}${search}`, {
      method: "POST",
      headers: requestHeaders(request.headers, options.credential),
      body: text,
      redirect: "manual",
      signal: silence.signal,
      // Bun gives up after five minutes without bytes; the watch above decides instead.
      timeout: false,
      decompress: false,
    } as RequestInit);
  } catch (error) {
    silence.stop();
    over(request.signal.aborted ? "left" : "failed");
    return unreachable(error, silence.signal);
  }
  entered.sent();
  if (answer.status >= 400) refused = answer.status;
  rememberRetry(answer, options.now, run.meter);
  if (answer.status >= 300 && answer.status < 400) {
    silence.stop();
    over("failed");
    await answer.body?.cancel();
    return messagesError(502, "api_error", `claude-hooks: the model's server redirects`);
  }
  return new Response(counted(answer, metered.report, silence, over), {
    status: answer.status,
    headers: answerHeaders(answer.headers),
  });
}

/** Null when it does not say; then it may be as long as any. */
function bytesOf(headers: Headers): number | null {
  const length = headers.get("content-length");
  return length !== null && /^\d{1,12}$/.test(length) ? Number(length) : null;
}

/** The whole body, or null when it has not come within `ms`. */
async function bodyOf(request: Request, ms: number): Promise<Uint8Array | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  // A sender who breaks off gets no answer anyway.
  const body = request.arrayBuffer().then(
    (buffer) => new Uint8Array(buffer),
    () => null,
  );
  const first = await Promise.race([body, late]);
  clearTimeout(timer);
  return first;
}

function most(pathname: string, request: Extract<CheckedRequest, { ok: true }>): MostExpected {
  const { model, text } = request;
  // Counting tokens costs nothing.
  if (pathname !== MESSAGES) return { model, input: 0, output: 0 };
  return {
    model,
    input: Math.min(CONTEXT_TOKENS_MAX, Buffer.byteLength(text) / BYTES_PER_TOKEN),
    output: Math.min(CONTEXT_TOKENS_MAX, request.maxTokens ?? OUTPUT_TOKENS_MAX),
  };
}

const tooMany = (message: string): Response =>
  messagesError(429, "rate_limit_error", `claude-hooks: ${message}`, { "retry-after": "1" });

function isCredential(headers: Headers, dummy: string): boolean {
  const given =
    headers.get("x-api-key") ?? headers.get("authorization")?.replace(/^Bearer /i, "") ?? "";
  const [one, other] = [Buffer.from(given), Buffer.from(dummy)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function requestHeaders(from: Headers, credential: ModelCredential): Headers {
  const headers = new Headers();
  const named = (from.get("connection") ?? "").toLowerCase().split(/\s*,\s*/);
  for (const [name, value] of from) {
    if (!REQUEST_HEADERS_DROPPED.has(name) && !named.includes(name)) headers.set(name, value);
  }
  // Usage cannot be read from a compressed answer.
  headers.set("accept-encoding", "identity");
  if (credential.kind === "api_key") {
    headers.set("x-api-key", credential.value);
    return headers;
  }
  headers.set("authorization", `Bearer ${credential.value}`);
  const betas = (headers.get("anthropic-beta") ?? "").split(",").filter((beta) => beta !== "");
  if (!betas.includes(OAUTH_BETA)) headers.set("anthropic-beta", [...betas, OAUTH_BETA].join(","));
  return headers;
}

function answerHeaders(from: Headers): Headers {
  const headers = new Headers();
  for (const [name, value] of from) {
    if (!ANSWER_HEADERS_DROPPED.has(name)) headers.set(name, value);
  }
  return headers;
}

/** RFC 9110: seconds or a date; a subscription says instead when its limit is reset, in epoch seconds. */
function rememberRetry(answer: Response, now: () => number, meter: Meter): void {
  if (answer.status < 400) return;
  const after = answer.headers.get("retry-after");
  const reset = Number(answer.headers.get("anthropic-ratelimit-unified-reset") ?? Number.NaN);
  if (after !== null && /^\d{1,9}$/.test(after)) meter.retryAt(now() + Number(after) * 1000);
  else if (after !== null && Number.isFinite(Date.parse(after))) meter.retryAt(Date.parse(after));
  else if (answer.status === 429 && reset > 0) meter.retryAt(reset * 1000);
  const isRejected = answer.headers.get("anthropic-ratelimit-unified-status") === "rejected";
  if (answer.status === 429 && isRejected && reset > 0) meter.limitResetsAt(reset * 1000);
}

function unreachable(error: unknown, signal: AbortSignal): Response {
  if (signal.aborted && signal.reason instanceof Silence) {
    return messagesError(504, "timeout_error", `${GATEWAY_ERRORS.unreachable}: it does not answer`);
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "failed";
  return messagesError(502, "api_error", `${GATEWAY_ERRORS.unreachable}: ${code}`);
}
