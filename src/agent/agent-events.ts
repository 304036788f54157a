import type { SDKMessage } from "@anthropic-ai/claude-agent-sdk";
import { z } from "zod";
import type { AgentEvent } from "../ports/agent.ts";

const TEXT_BYTES_MAX = 4_096;
const NAME_CHARS_MAX = 200;

const name = z.string().max(NAME_CHARS_MAX);
const Events: z.ZodType<readonly AgentEvent[]> = z.array(
  z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("init"), session: name }),
    z.object({ kind: z.literal("text"), text: z.string() }),
    z.object({ kind: z.literal("tool"), name, input: z.string() }),
    z.object({ kind: z.literal("tool_result"), text: z.string(), isError: z.boolean() }),
    z.object({ kind: z.literal("retry"), attempt: z.number(), status: z.number().nullable() }),
    z.object({ kind: z.literal("other"), type: name }),
  ]),
);

/**
 * What one message of the SDK says, for the live transcript; texts are cut to 4 kB. A message whose
 * fields are not what the SDK's types promise is one event `other`: unreadable.
 */
export function agentEvents(message: SDKMessage): readonly AgentEvent[] {
  const read = Events.safeParse(told(message));
  return read.success ? read.data : [{ kind: "other", type: "unreadable" }];
}

function told(message: SDKMessage): readonly AgentEvent[] | null {
  try {
    return eventsOf(message);
  } catch {
    // A field that every such message has is missing or of another type.
    return null;
  }
}

function eventsOf(message: SDKMessage): readonly AgentEvent[] {
  switch (message.type) {
    case "assistant":
      return message.message.content.flatMap((block): readonly AgentEvent[] => {
        if (block.type === "text") return [{ kind: "text", text: cut(block.text) }];
        if (block.type !== "tool_use") return [{ kind: "other", type: block.type }];
        return [
          { kind: "tool", name: block.name, input: cut(JSON.stringify(block.input ?? null)) },
        ];
      });
    case "user":
      return userEvents(message.message.content);
    case "system":
      if (message.subtype === "init") return [{ kind: "init", session: message.session_id }];
      if (message.subtype === "api_retry") {
        return [{ kind: "retry", attempt: message.attempt, status: message.error_status }];
      }
      return [{ kind: "other", type: `system/${message.subtype}` }];
    default:
      return [{ kind: "other", type: message.type }];
  }
}

type UserContent = Extract<SDKMessage, { type: "user" }>["message"]["content"];

function userEvents(content: UserContent): readonly AgentEvent[] {
  if (typeof content === "string") return [{ kind: "other", type: "user" }];
  return content.map((block): AgentEvent => {
    if (block.type !== "tool_result") return { kind: "other", type: "user" };
    const text =
      typeof block.content === "string"
        ? block.content
        : (block.content ?? [])
            .map((part) => (part.type === "text" ? part.text : `[${part.type}]`))
            .join("\n");
    return { kind: "tool_result", text: cut(text), isError: block.is_error === true };
  });
}

/** Cut at a whole character; the mark says that there was more. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= TEXT_BYTES_MAX) return text;
  const bytes = Buffer.from(text).subarray(0, TEXT_BYTES_MAX - 3);
  return `${bytes.toString("utf8").replace(/\uFFFD+$/, "")}…`;
}
