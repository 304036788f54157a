import { parseJson } from "../json/parse.ts";
import { ForgeFailure } from "../ports/forge.ts";
import { RefusalRow } from "./schema.ts";

/** What is sent: the path is below /api/v1, its parts are encoded already. */
export interface Request {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Empty: the call is nobody's. */
  readonly token: string;
}

/** An answer, whatever its status below 500; 429 and 3xx are failures already. */
export interface ForgeAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** With whom the calls are exchanged, and how. */
export interface ExchangeOptions {
  /** `<configured url>/api/v1`. */
  readonly api: string;
  /** PEM text of the authority of the forge's certificate, or null. */
  readonly ca: string | null;
  readonly timeoutMs: number;
  readonly now: () => number;
  /** Told the forge's clock minus ours with each answer. */
  readonly onClock: (offsetMs: number) => void;
  /** Ends all calls at once, whose failure is then its reason: a ForgeFailure. */
  readonly signal?: AbortSignal;
}

const BODY_BYTES_MAX = 8 * 1024 * 1024;
const MESSAGE_CHARACTERS_MAX = 300;
const RETRY_AFTER_MS = 5_000;
const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * One HTTP exchange with the configured forge and nobody else: redirects are not followed (a
 * renamed repository answers 301, and a POST would become a GET), so the token stays with its
 * origin. @throws ForgeFailure `unavailable`, `rate_limited`, `refused` (redirect), `malformed` (too large).
 */
export async function exchange(options: ExchangeOptions, request: Request): Promise<ForgeAnswer> {
  const name = callName(request);
  const response = await send(options, request, name);
  noteClock(options, response.headers);
  if (response.status === 429) {
    await response.body?.cancel();
    throw new ForgeFailure("rate_limited", `${name}: the forge asks to wait`, {
      status: 429,
      retryAt: options.now() + retryAfterMs(response.headers, options.now()),
    });
  }
  if (response.status >= 300 && response.status < 400) {
    await response.body?.cancel();
    const place = (response.headers.get("location") ?? "nowhere").slice(0, MESSAGE_CHARACTERS_MAX);
    throw new ForgeFailure("refused", `${name}: moved to ${place}; redirects are not followed`, {
      status: response.status,
    });
  }
  const text = await readText(response, name);
  const answer = { status: response.status, text, headers: response.headers };
  if (response.status >= 500)
    throw new ForgeFailure("unavailable", `${name}: ${said(answer)}`, { status: response.status });
  return answer;
}

/** The failure that a 4xx answer is. */
export function refusalOf(request: Request, answer: ForgeAnswer): ForgeFailure {
  const kinds = { 401: "auth", 403: "forbidden", 404: "not_found" } as const;
  const kind = kinds[answer.status as keyof typeof kinds] ?? "refused";
  return new ForgeFailure(kind, `${callName(request)}: ${said(answer)}`, { status: answer.status });
}

/** The forge's own words about an answer, at most 300 characters. */
export function messageOf(answer: ForgeAnswer): string {
  try {
    return (RefusalRow.parse(parseJson(answer.text)).message ?? "").slice(
      0,
      MESSAGE_CHARACTERS_MAX,
    );
  } catch {
    return "";
  }
}

/** How a call is named in messages: never its query or body. */
export function callName(request: Pick<Request, "method" | "path">): string {
  return `${request.method} ${request.path}`;
}

async function send(options: ExchangeOptions, request: Request, name: string): Promise<Response> {
  const query = new URLSearchParams(request.query).toString();
  const hasBody = request.body !== undefined;
  const timeout = AbortSignal.timeout(options.timeoutMs);
  try {
    return await fetch(`${options.api}${request.path}${query === "" ? "" : `?${query}`}`, {
      method: request.method,
      redirect: "manual",
      signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
      headers: {
        Accept: "application/json",
        ...(request.token === "" ? {} : { Authorization: `token ${request.token}` }),
        "User-Agent": "claude-hooks",
        ...(hasBody ? { "Content-Type": "application/json" } : {}),
      },
      ...(hasBody ? { body: JSON.stringify(request.body) } : {}),
      ...(options.ca === null ? {} : { tls: { ca: options.ca } }),
    });
  } catch (error) {
    throw unavailable(name, error);
  }
}

async function readText(response: Response, name: string): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of response.body) {
      bytes += chunk.byteLength;
      if (bytes > BODY_BYTES_MAX)
        throw new ForgeFailure("malformed", `${name}: the answer is over ${BODY_BYTES_MAX} bytes`, {
          status: response.status,
        });
      text += decoder.decode(chunk, { stream: true });
    }
  } catch (error) {
    if (error instanceof ForgeFailure) throw error;
    throw unavailable(name, error);
  }
  return text + decoder.decode();
}

function unavailable(name: string, error: unknown): ForgeFailure {
  const why = error instanceof Error ? error.name : "no answer";
  return new ForgeFailure("unavailable", `${name}: the forge did not answer (${why})`, {
    cause: error,
  });
}

function said(answer: ForgeAnswer): string {
  const message = messageOf(answer);
  return message === "" ? `status ${answer.status}` : `status ${answer.status}, ${message}`;
}

function noteClock(options: ExchangeOptions, headers: Headers): void {
  const at = Date.parse(headers.get("date") ?? "");
  if (!Number.isNaN(at)) options.onClock(at - options.now());
}

/** Retry-After as seconds or a date (RFC 9110 10.2.3); 5 s when absent, an hour at most. */
function retryAfterMs(headers: Headers, now: number): number {
  const text = headers.get("retry-after") ?? "";
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  const wanted = Number.isNaN(seconds) ? RETRY_AFTER_MS : seconds;
  return Math.min(Math.max(wanted, 0), RETRY_AFTER_MS_MAX);
}
