import { z } from "zod";
import { parseJson } from "../json/parse.ts";
import type { TokenUsage } from "../ports/gateway.ts";

/** What one answer of the model has used so far; figures only ever replace earlier ones. */
export interface AnswerUsage {
  readonly model: string | null;
  readonly tokens: TokenUsage;
}

const count = z.number().int().nonnegative().nullish();
const Usage = z.looseObject({
  input_tokens: count,
  output_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
});
const Message = z.looseObject({ model: z.string(), usage: Usage });
const MessageStart = z.looseObject({ message: Message });
const MessageDelta = z.looseObject({ usage: Usage });

const NOTHING: AnswerUsage = {
  model: null,
  tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
};

/** A line longer than this is content, never one of the two events with usage. */
const LINE_CHARS_MAX = 256 * 1024;

/**
 * Reads usage out of a stream of server-sent events while it passes. Messages API: `message_start`
 * carries the input counts, each `message_delta` the totals so far. `feed` takes the bytes in the
 * pieces in which they come and calls `onUsage` when a figure has changed.
 */
export function createStreamReader(onUsage: (usage: AnswerUsage) => void): {
  feed(chunk: Uint8Array): void;
} {
  const decoder = new TextDecoder();
  let rest = "";
  let overlong = false;
  let event = "";
  let usage = NOTHING;
  const line = (text: string): void => {
    if (text === "") event = "";
    if (text.startsWith("event:")) event = text.slice("event:".length).trim();
    if (!text.startsWith("data:")) return;
    if (event !== "message_start" && event !== "message_delta") return;
    usage = withEvent(usage, text.slice("data:".length));
    onUsage(usage);
  };
  return {
    feed(chunk) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
      rest = lines.pop() ?? "";
      for (const text of lines) {
        if (!overlong) line(text);
        overlong = false;
      }
      if (rest.length > LINE_CHARS_MAX) {
        overlong = true;
        rest = "";
      }
    },
  };
}

/** The usage of an answer that came as one JSON body; null when it is no message. */
export function usageOfBody(text: string): AnswerUsage | null {
  const message = Message.safeParse(parsed(text));
  return message.success ? merged(NOTHING, message.data.usage, message.data.model) : null;
}

function withEvent(usage: AnswerUsage, data: string): AnswerUsage {
  const value = parsed(data);
  const start = MessageStart.safeParse(value);
  if (start.success) return merged(usage, start.data.message.usage, start.data.message.model);
  const delta = MessageDelta.safeParse(value);
  return delta.success ? merged(usage, delta.data.usage, usage.model) : usage;
}

function merged(
  before: AnswerUsage,
  usage: z.infer<typeof Usage>,
  model: string | null,
): AnswerUsage {
  return {
    model,
    tokens: {
      input: usage.input_tokens ?? before.tokens.input,
      output: usage.output_tokens ?? before.tokens.output,
      cacheRead: usage.cache_read_input_tokens ?? before.tokens.cacheRead,
      cacheWrite: usage.cache_creation_input_tokens ?? before.tokens.cacheWrite,
    },
  };
}

/** Metering must never break an answer: what cannot be read counts as nothing. */
function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return null;
  }
}
