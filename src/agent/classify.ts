import type { AgentEnd } from "../ports/agent.ts";
import { GATEWAY_ERRORS } from "../ports/gateway.ts";

/** What is left of a `result` message; of several, the last one counts. */
export interface LastResult {
  readonly subtype: string;
  readonly isError: boolean;
  /** The final text, or the error's text when `isError`. */
  readonly text: string;
  readonly errors: readonly string[];
  readonly turns: number;
  readonly apiStatus: number | null;
  readonly terminalReason: string | null;
  readonly startupFailure: string | null;
  readonly stopReason: string | null;
}

/** What the SDK threw; `errorClass` is not in its types (strings of sdk.mjs 0.3.330). */
export interface Thrown {
  readonly errorClass: string | null;
  readonly exitCode: number | null;
  readonly message: string;
}

/** Everything known when a query is over. */
export interface QueryTrace {
  readonly result: LastResult | null;
  /** `error` of the last assistant message. */
  readonly assistantError: string | null;
  readonly thrown: Thrown | null;
  /** `system/init` was seen. */
  readonly began: boolean;
  /** We stopped it. */
  readonly aborted: boolean;
  /** When the subscription's limit is reset, as epoch milliseconds (`rate_limit_event`). */
  readonly limitResetsAt: number | null;
  /** The newest retry-after that the gateway saw, as epoch milliseconds. */
  readonly retryAt: number | null;
  /** The last lines the CLI wrote to stderr. */
  readonly stderr: string;
  /** Why we never gave the process its first input. */
  readonly refusal: string | null;
  /** Why what it said is of no use: a line without an end, or a last result that is none. */
  readonly broken: string | null;
}

const MESSAGE_CHARS_MAX = 1_000;

/**
 * How a query ended. The table behind it was measured with the CLI 2.1.330 against a scripted
 * endpoint, 40 failures: API errors come as `success` with `is_error`; only one failure means that
 * the session is gone, and it is known by its text, without init and without a turn.
 */
export function classify(trace: QueryTrace): AgentEnd {
  const { result } = trace;
  if (trace.aborted) return { kind: "interrupted" };
  if (trace.refusal !== null) {
    return { kind: "operator", reason: "launch", message: short(trace.refusal) };
  }
  if (trace.broken !== null) return { kind: "died", message: short(trace.broken) };
  if (result === null) return withoutResult(trace);
  if (result.subtype !== "success") return failedResult(trace, result);
  if (!result.isError) return completed(result);
  return apiFailure(trace, result);
}

/** The process ended without a word, or never started. */
function withoutResult({ thrown, began, stderr }: QueryTrace): AgentEnd {
  const message = short([thrown?.message, stderr].filter((text) => text).join(": "));
  const died: AgentEnd = { kind: "died", message: message || "the CLI ended without a result" };
  if (thrown === null || began) return died;
  const isKilled =
    thrown.errorClass === "process_killed_by_signal" || (thrown.exitCode ?? 0) >= SIGNAL_EXIT;
  return isKilled ? died : { kind: "operator", reason: "launch", message };
}

/** A shell's and bubblewrap's exit code for a command killed by signal n is 128 + n. */
const SIGNAL_EXIT = 129;

function failedResult({ began }: QueryTrace, result: LastResult): AgentEnd {
  const message = short(result.errors.join("; ") || result.subtype);
  if (/^No conversation found with session ID/.test(message) && !began && result.turns === 0) {
    return { kind: "session_lost" };
  }
  if (result.startupFailure !== null) return { kind: "operator", reason: "config", message };
  if (result.subtype === "error_max_turns") return { kind: "limit", reason: "turns", message };
  if (result.subtype === "error_max_budget_usd") {
    return { kind: "limit", reason: "budget", message };
  }
  if (result.subtype === "error_max_structured_output_retries") {
    return { kind: "limit", reason: "output", message };
  }
  return began ? { kind: "died", message } : { kind: "operator", reason: "config", message };
}

/** A refusal ends as an ordinary success with its own stop reason when the CLI has no way around it. */
function completed(result: LastResult): AgentEnd {
  return result.stopReason === "refusal"
    ? { kind: "refusal", message: short(result.text) }
    : { kind: "completed", text: result.text };
}

function apiFailure(trace: QueryTrace, result: LastResult): AgentEnd {
  const { assistantError: error, retryAt } = trace;
  const message = short(result.text);
  const status = result.apiStatus;
  const wait = (reason: Extract<AgentEnd, { kind: "wait" }>["reason"], at = retryAt): AgentEnd => ({
    kind: "wait",
    reason,
    message,
    retryAt: at,
  });
  if (message.includes(GATEWAY_ERRORS.budgetSpent))
    return { kind: "limit", reason: "budget", message };
  if (message.includes(GATEWAY_ERRORS.unreachable)) return wait("network");
  if (result.terminalReason === "prompt_too_long" || status === 413) {
    return { kind: "context_full", message };
  }
  if (result.terminalReason === "image_error") return { kind: "context_full", message };
  if (result.stopReason === "refusal") return { kind: "refusal", message };
  if (error === "max_output_tokens") return { kind: "limit", reason: "output", message };
  if (isCredit(error, status, message)) return { kind: "operator", reason: "credit", message };
  if (trace.limitResetsAt !== null) return wait("usage_limit", trace.limitResetsAt);
  if (error === "rate_limit" || status === 429) return wait("rate_limit");
  if (error === "overloaded" || status === 529) return wait("overloaded");
  if (status !== null && status >= 500) return wait("server");
  if (error === "model_not_found" || status === 404) {
    return { kind: "operator", reason: "model", message };
  }
  if (isAuth(error, status) || (status === null && /not logged in/i.test(message))) {
    return { kind: "operator", reason: "auth", message };
  }
  if (error === "server_error") return wait(status === null ? "network" : "server");
  return { kind: "operator", reason: "config", message };
}

/** The API says the same thing in several ways, one of them only in words. */
function isCredit(error: string | null, status: number | null, message: string): boolean {
  return (
    error === "billing_error" ||
    status === 402 ||
    /usage limits|credit balance|out of (extra )?usage/i.test(message)
  );
}

function isAuth(error: string | null, status: number | null): boolean {
  return (
    status === 401 ||
    status === 403 ||
    error === "authentication_failed" ||
    error === "oauth_org_not_allowed" ||
    error === "account_on_hold" ||
    error === "verification_required"
  );
}

const short = (text: string): string => text.trim().slice(0, MESSAGE_CHARS_MAX);
