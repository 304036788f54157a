import { neutralLine, neutralText } from "../../domain/neutral-text.ts";
import type { ToolCall } from "../../domain/tools.ts";
import type { EffectContext } from "./context.ts";

/** Calls of tools in one run, those that were refused included. */
const CALLS_PER_RUN_MAX = 60;
/** All texts of one call, and of all calls of one run, in bytes of UTF-8: a person has to read them. */
const TEXT_BYTES_PER_CALL_MAX = 65_536;
const TEXT_BYTES_PER_RUN_MAX = 262_144;

const LAST_CHARACTERS = 512;

/** What a run may still say. */
export interface Allowance {
  calls: number;
  bytes: number;
  /** The end of what was said before: a secret in two calls is one, too. */
  last: string;
}

/** What a run may say as long as it has said nothing. */
export function createAllowance(): Allowance {
  return { calls: CALLS_PER_RUN_MAX, bytes: TEXT_BYTES_PER_RUN_MAX, last: "" };
}

/**
 * Looks at a call before anything is done: within the run's allowance, no secret in it, and its texts
 * made neutral. A refusal is one line for the agent; one for a secret is audited without its words.
 */
export function checkCall(
  context: EffectContext,
  call: ToolCall,
  allowance: Allowance,
): { readonly call: ToolCall } | { readonly refused: string } {
  if (allowance.calls <= 0) return refuse(context, call, "calls");
  allowance.calls -= 1;
  // Also what is no text to be written: a path may hold a secret as well.
  const raw = JSON.stringify(call.input);
  const strings = stringsIn(call.input);
  const joined = `${allowance.last}${strings.join("")}`;
  if ([...strings, raw, joined].some((text) => context.secrets.holds(text))) {
    return refuse(context, call, "secret");
  }
  const bytes = strings.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > TEXT_BYTES_PER_CALL_MAX) return refuse(context, call, "call_bytes");
  if (bytes > allowance.bytes) return refuse(context, call, "run_bytes");
  allowance.bytes -= bytes;
  const neutral = neutralCall(call);
  // Two words that only unseen characters kept apart may be a secret together.
  const isHeld = stringsIn(neutral.input).some((text) => context.secrets.holds(text));
  if (isHeld) return refuse(context, call, "secret");
  if (textsOf(neutral).some((text) => text === "")) return refuse(context, call, "empty");
  allowance.last = joined.slice(-LAST_CHARACTERS);
  return { call: neutral };
}

const WHY = {
  calls: `This run has used its ${CALLS_PER_RUN_MAX} tool calls. End your turn.`,
  secret:
    "This holds a secret of the service, or a part of one in some form. It is not written anywhere; leave it out.",
  call_bytes: `This is longer than ${TEXT_BYTES_PER_CALL_MAX} bytes in all. Say it shorter.`,
  run_bytes: `With this the run would have written more than ${TEXT_BYTES_PER_RUN_MAX} bytes. Say it shorter.`,
  empty: "A text of this call holds nothing that can be seen.",
} as const;

function refuse(
  { audit, log, item, agent, run }: EffectContext,
  { tool }: ToolCall,
  reason: keyof typeof WHY,
): { readonly refused: string } {
  const { repo, number } = item;
  const who = { repo, number, agent: agent.name, run, tool };
  // Every secret has its line; of the others the audit keeps one per tool and minute.
  if (reason === "secret") audit.append("secret_refused", who);
  else audit.append("tool_denied", { ...who, reason });
  log.warn("effect refused", { effect: tool, reason });
  return { refused: WHY[reason] };
}

function neutralCall(call: ToolCall): ToolCall {
  switch (call.tool) {
    case "open_pull_request": {
      const { title, body } = call.input;
      return { tool: call.tool, input: { title: neutralLine(title), body: neutralText(body) } };
    }
    case "hand_in": {
      const { summary, answers } = call.input;
      return {
        tool: call.tool,
        input: { summary: neutralText(summary), answers: bodies(answers) },
      };
    }
    case "submit_review": {
      const { verdict, body, comments } = call.input;
      const input = { verdict, body: neutralText(body), comments: bodies(comments) };
      return { tool: call.tool, input };
    }
    case "request_merge":
      return { tool: call.tool, input: { summary: neutralText(call.input.summary) } };
    case "decline_merge":
      return { tool: call.tool, input: { reason: neutralText(call.input.reason) } };
    case "reply":
      return { tool: call.tool, input: { body: neutralText(call.input.body) } };
    case "ask_human":
      return { tool: call.tool, input: { question: neutralText(call.input.question) } };
  }
}

function bodies<T extends { readonly body: string }>(
  rows: readonly T[] | undefined,
): readonly T[] | undefined {
  return rows?.map((row) => ({ ...row, body: neutralText(row.body) }));
}

/** What will be read on the forge. */
function textsOf(call: ToolCall): readonly string[] {
  switch (call.tool) {
    case "open_pull_request":
      return [call.input.title, call.input.body];
    case "hand_in":
      return [call.input.summary, ...(call.input.answers ?? []).map(({ body }) => body)];
    case "submit_review":
      return [call.input.body, ...(call.input.comments ?? []).map(({ body }) => body)];
    case "request_merge":
      return [call.input.summary];
    case "decline_merge":
      return [call.input.reason];
    case "reply":
      return [call.input.body];
    case "ask_human":
      return [call.input.question];
  }
}

function stringsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}
