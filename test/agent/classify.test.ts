import { describe, expect, test } from "bun:test";
import { classify, type LastResult, type QueryTrace } from "../../src/agent/classify.ts";
import { GATEWAY_ERRORS } from "../../src/ports/gateway.ts";

const ok: LastResult = {
  subtype: "success",
  isError: false,
  text: "done",
  errors: [],
  turns: 3,
  apiStatus: null,
  terminalReason: "completed",
  startupFailure: null,
  stopReason: "end_turn",
};
const trace: QueryTrace = {
  result: ok,
  assistantError: null,
  thrown: null,
  began: true,
  aborted: false,
  limitResetsAt: null,
  retryAt: null,
  stderr: "",
  refusal: null,
  broken: null,
};
const api = (apiStatus: number | null, text: string, more: Partial<LastResult> = {}) => ({
  result: { ...ok, isError: true, terminalReason: "api_error", apiStatus, text, ...more },
});
const failed = (errors: readonly string[], more: Partial<LastResult> = {}) => ({
  result: {
    ...ok,
    subtype: "error_during_execution",
    isError: true,
    text: "",
    errors,
    turns: 0,
    ...more,
  },
});
const thrown = (errorClass: string, exitCode: number | null = null, message = errorClass) => ({
  result: null,
  thrown: { errorClass, exitCode, message },
});
const NO_CONVERSATION =
  "No conversation found with session ID: 0b0e7f0e-6a4f-4a53-8f0e-0123456789ab";

/** Left: what was seen (texts as CLI 2.1.330 writes them); right: what it is. */
const TABLE: readonly (readonly [string, Partial<QueryTrace>, object])[] = [
  ["an ordinary end", {}, { kind: "completed", text: "done" }],
  ["a refusal", { result: { ...ok, stopReason: "refusal" } }, { kind: "refusal" }],
  ["a lost session", { ...failed([NO_CONVERSATION]), began: false }, { kind: "session_lost" }],
  [
    "the same words after the start",
    { ...failed([NO_CONVERSATION]), began: true },
    { kind: "died" },
  ],
  [
    "the same words after a turn",
    { ...failed([NO_CONVERSATION], { turns: 1 }), began: false },
    { kind: "operator", reason: "config" },
  ],
  [
    "the same words from a tool",
    { result: { ...ok, text: NO_CONVERSATION } },
    { kind: "completed" },
  ],
  [
    "an id that is no UUID",
    { ...failed(["--resume requires a valid session ID"]), began: false },
    { kind: "operator", reason: "config" },
  ],
  [
    "a damaged configuration file",
    { ...failed(["Invalid JSON"], { startupFailure: "config_file_invalid" }), began: false },
    { kind: "operator", reason: "config" },
  ],
  [
    "the limit of turns",
    failed([], { subtype: "error_max_turns" }),
    { kind: "limit", reason: "turns" },
  ],
  [
    "the CLI's budget",
    failed([], { subtype: "error_max_budget_usd" }),
    { kind: "limit", reason: "budget" },
  ],
  [
    "the gateway's budget",
    {
      ...api(402, `API Error: 402 ${GATEWAY_ERRORS.budgetSpent} (5.01 of 5.00 USD)`),
      assistantError: "unknown",
    },
    { kind: "limit", reason: "budget" },
  ],
  [
    "the output limit",
    { ...api(null, "x"), assistantError: "max_output_tokens" },
    { kind: "limit", reason: "output" },
  ],
  [
    "401",
    { ...api(401, "Failed"), assistantError: "authentication_failed" },
    { kind: "operator", reason: "auth" },
  ],
  [
    "403",
    { ...api(403, "Failed"), assistantError: "authentication_failed" },
    { kind: "operator", reason: "auth" },
  ],
  [
    "no key at all",
    api(null, "Not logged in · Please run /login"),
    { kind: "operator", reason: "auth" },
  ],
  [
    "402",
    { ...api(402, "pay"), assistantError: "unknown" },
    { kind: "operator", reason: "credit" },
  ],
  [
    "no credit",
    { ...api(400, "Your credit balance is too low"), assistantError: "billing_error" },
    { kind: "operator", reason: "credit" },
  ],
  [
    "the account's own cap",
    { ...api(400, "You have reached your specified API usage limits"), assistantError: "unknown" },
    { kind: "operator", reason: "credit" },
  ],
  [
    "404",
    { ...api(404, "model"), assistantError: "model_not_found" },
    { kind: "operator", reason: "model" },
  ],
  [
    "another 400",
    { ...api(400, "tools.0: bad"), assistantError: "unknown" },
    { kind: "operator", reason: "config" },
  ],
  [
    "429 with retry-after",
    { ...api(429, "limit"), assistantError: "rate_limit", retryAt: 1_234 },
    { kind: "wait", reason: "rate_limit", retryAt: 1_234 },
  ],
  [
    "a subscription's limit",
    {
      ...api(429, "You've hit your 5-hour limit"),
      assistantError: "rate_limit",
      limitResetsAt: 99_000,
      retryAt: 1,
    },
    { kind: "wait", reason: "usage_limit", retryAt: 99_000 },
  ],
  [
    "529",
    { ...api(529, "Repeated 529"), assistantError: "server_error" },
    { kind: "wait", reason: "overloaded" },
  ],
  ["500", { ...api(500, "x"), assistantError: "server_error" }, { kind: "wait", reason: "server" }],
  ["502", { ...api(502, "x"), assistantError: "server_error" }, { kind: "wait", reason: "server" }],
  [
    "a broken connection",
    { ...api(null, "ECONNRESET"), assistantError: "server_error" },
    { kind: "wait", reason: "network" },
  ],
  [
    "an unreachable server",
    {
      ...api(502, `API Error: 502 ${GATEWAY_ERRORS.unreachable}: ECONNREFUSED`),
      assistantError: "server_error",
    },
    { kind: "wait", reason: "network" },
  ],
  [
    "a prompt too long",
    api(400, "Prompt is too long", { terminalReason: "prompt_too_long" }),
    { kind: "context_full" },
  ],
  ["413", api(413, "too large", { terminalReason: "image_error" }), { kind: "context_full" }],
  ["our stop, whatever came", { aborted: true }, { kind: "interrupted" }],
  ["our stop in an error", { ...thrown("aborted"), aborted: true }, { kind: "interrupted" }],
  ["SIGKILL", thrown("process_killed_by_signal"), { kind: "died" }],
  ["SIGTERM of what is in the jail", thrown("process_exited_nonzero", 143), { kind: "died" }],
  [
    "SIGKILL before init",
    { ...thrown("process_exited_nonzero", 137), began: false },
    { kind: "died" },
  ],
  ["an exit in the middle", thrown("process_exited_nonzero", 1), { kind: "died" }],
  [
    "an exit before init",
    { ...thrown("process_exited_nonzero", 1), began: false, stderr: "bwrap: no" },
    { kind: "operator", reason: "launch", message: "process_exited_nonzero: bwrap: no" },
  ],
  [
    "a missing program",
    { ...thrown("executable_not_found"), began: false },
    { kind: "operator", reason: "launch" },
  ],
  [
    "a start that was not recorded",
    { ...thrown("process_killed_by_signal"), began: false, refusal: "the lease is lost" },
    { kind: "operator", reason: "launch", message: "the lease is lost" },
  ],
  ["a stream that just ended", { result: null }, { kind: "died" }],
];

describe("the end of a query", () => {
  test.each(TABLE)("%s", (_name, seen, end) => {
    expect(classify({ ...trace, ...seen })).toMatchObject(end);
  });

  test("is told in at most a thousand characters", () => {
    const end = classify({ ...trace, ...api(400, "x".repeat(5_000)) });

    expect(end.kind === "operator" && end.message.length).toBe(1_000);
  });
});
