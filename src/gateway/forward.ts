import { timingSafeEqual } from "node:crypto";
import { GATEWAY_ERRORS } from "../ports/gateway.ts";
import { checkRequest } from "./check-request.ts";
import { budgetSpent, messagesError } from "./messages-error.ts";
import { createStreamReader, usageOfBody } from "./read-usage.ts";
import type { Meter } from "./run-meter.ts";

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
  /** How long the model's server may be silent, before the first byte and between two. */
  readonly silenceMsMax: number;
}

/** The run whose door it is. `open` turns false when the door has been closed. */
export interface ForwardRun {
  readonly dummy: string;
  readonly usdLimit: number;
  readonly meter: Meter;
  readonly isOpen: () => boolean;
}

const PATHS = ["/v1/messages", "/v1/messages/count_tokens"];

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
const OAUTH_BETA = "oauth-2025-04-20";

/**
 * Passes one request of a run to the model's server: the dummy credential is checked and replaced,
 * the answer goes back byte for byte, and its usage is counted while it passes. Refusals have the
 * shape of the Messages API. No redirect is followed, so the key reaches no other host.
 */
export async function forward(
  options: ForwardOptions,
  run: ForwardRun,
  request: Request,
): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  if (request.method !== "POST" || !PATHS.includes(pathname)) {
    return messagesError(404, "not_found_error", "claude-hooks: only the Messages API is here");
  }
  if (!run.isOpen() || !isCredential(request.headers, run.dummy)) {
    return messagesError(401, "authentication_error", "claude-hooks: not the credential of a run");
  }
  const { usd } = run.meter.read();
  if (usd >= run.usdLimit) return budgetSpent(usd, run.usdLimit);
  const body = new Uint8Array(await request.arrayBuffer());
  const refusal = checkRequest(body);
  if (refusal !== null) return messagesError(403, "permission_error", `claude-hooks: ${refusal}`);
  const report = run.meter.request();
  const silence = createSilenceWatch(options.silenceMsMax, request.signal);
  let answer: Response;
  try {
    answer = await fetch(`${options.upstream}${pathname}${search}`, {
      method: "POST",
      headers: requestHeaders(request.headers, options.credential),
      body,
      redirect: "manual",
      signal: silence.signal,
      // Bun gives up after five minutes without bytes; the watch above decides instead.
      timeout: false,
      decompress: false,
    } as RequestInit);
  } catch (error) {
    silence.stop();
    return unreachable(error, silence.signal);
  }
  rememberRetry(answer, options.now, run.meter);
  if (answer.status >= 300 && answer.status < 400) {
    silence.stop();
    await answer.body?.cancel();
    return messagesError(502, "api_error", `claude-hooks: the model's server redirects`);
  }
  return new Response(counted(answer, report, silence), {
    status: answer.status,
    headers: answerHeaders(answer.headers),
  });
}

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

/** The body as it is, with a look at each piece that passes. */
function counted(
  answer: Response,
  report: ReturnType<Meter["request"]>,
  silence: SilenceWatch,
): ReadableStream<Uint8Array> | null {
  if (answer.body === null) {
    silence.stop();
    return null;
  }
  const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream") === true;
  const stream = createStreamReader(report);
  const kept: Uint8Array[] = [];
  const reader = answer.body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        silence.heard();
        if (done) {
          silence.stop();
          const usage = isStream ? null : usageOfBody(Buffer.concat(kept).toString("utf8"));
          if (usage !== null) report(usage);
          controller.close();
          return;
        }
        if (isStream) stream.feed(value);
        else if (answer.ok) kept.push(value);
        controller.enqueue(value);
      } catch (error) {
        silence.stop();
        controller.error(error);
      }
    },
    async cancel(reason) {
      silence.stop();
      await reader.cancel(reason);
    },
  });
}

/** RFC 9110: seconds or a date; a subscription says instead when its limit is reset, in epoch seconds. */
function rememberRetry(answer: Response, now: () => number, meter: Meter): void {
  if (answer.status < 400) return;
  const after = answer.headers.get("retry-after");
  const reset = Number(answer.headers.get("anthropic-ratelimit-unified-reset") ?? Number.NaN);
  if (after !== null && /^\d{1,9}$/.test(after)) meter.retryAt(now() + Number(after) * 1000);
  else if (after !== null && Number.isFinite(Date.parse(after))) meter.retryAt(Date.parse(after));
  else if (answer.status === 429 && reset > 0) meter.retryAt(reset * 1000);
}

function unreachable(error: unknown, signal: AbortSignal): Response {
  if (signal.aborted && signal.reason instanceof Silence) {
    return messagesError(504, "timeout_error", `${GATEWAY_ERRORS.unreachable}: it does not answer`);
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "failed";
  return messagesError(502, "api_error", `${GATEWAY_ERRORS.unreachable}: ${code}`);
}

/** The model's server has been silent for too long. */
class Silence extends Error {
  override readonly name = "Silence";
}

interface SilenceWatch {
  readonly signal: AbortSignal;
  heard(): void;
  stop(): void;
}

/** Aborts when nothing is heard for `ms`, or when the agent has gone away. */
function createSilenceWatch(ms: number, gone: AbortSignal): SilenceWatch {
  const controller = new AbortController();
  const leave = (): void => controller.abort(gone.reason);
  const start = (): ReturnType<typeof setTimeout> =>
    setTimeout(() => controller.abort(new Silence(`nothing heard for ${ms} ms`)), ms);
  let timer = start();
  gone.addEventListener("abort", leave, { once: true });
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(timer);
      timer = start();
    },
    stop() {
      clearTimeout(timer);
      gone.removeEventListener("abort", leave);
    },
  };
}
