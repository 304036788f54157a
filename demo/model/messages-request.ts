import { z } from "zod";

/** One block of a message's content, as loosely as a scripted model needs it. */
const ContentBlock = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  id: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
  tool_use_id: z.string().optional(),
  content: z.unknown().optional(),
  is_error: z.boolean().optional(),
});

const Message = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(ContentBlock)]),
});

/** The body of `POST /v1/messages`: only what is read here, everything else passes. */
export const MessagesRequest = z.looseObject({
  model: z.string(),
  stream: z.boolean().optional(),
  max_tokens: z.number().optional(),
  system: z.union([z.string(), z.array(z.looseObject({ text: z.string().optional() }))]).optional(),
  messages: z.array(Message),
  tools: z.array(z.looseObject({ name: z.string() })).optional(),
});
export type MessagesRequest = z.infer<typeof MessagesRequest>;

/** One message of a request in plain form: what was said, called and answered. */
export interface PlainMessage {
  readonly role: string;
  readonly texts: readonly string[];
  readonly toolUses: readonly {
    readonly id: string;
    readonly name: string;
    readonly input: unknown;
  }[];
  readonly toolResults: readonly {
    readonly id: string;
    readonly text: string;
    readonly isError: boolean;
  }[];
}

/** All messages of the request in order, `role` as sent (the CLI also appends `system` ones). */
export function plainMessages(body: MessagesRequest): readonly PlainMessage[] {
  return body.messages.map((message) => {
    const blocks =
      typeof message.content === "string"
        ? [{ type: "text", text: message.content }]
        : message.content;
    return {
      role: message.role,
      texts: blocks.flatMap((block) => (block.type === "text" ? [block.text ?? ""] : [])),
      toolUses: blocks.flatMap((block) =>
        block.type === "tool_use" && "name" in block
          ? [{ id: String(block.id), name: String(block.name), input: block.input }]
          : [],
      ),
      toolResults: blocks.flatMap((block) =>
        block.type === "tool_result" && "tool_use_id" in block
          ? [
              {
                id: String(block.tool_use_id),
                text: resultText(block.content),
                isError: block.is_error === true,
              },
            ]
          : [],
      ),
    };
  });
}

/** The system prompt's blocks as one text. */
export function systemText(body: MessagesRequest): string {
  if (body.system === undefined) return "";
  if (typeof body.system === "string") return body.system;
  return body.system.map((block) => block.text ?? "").join("\n");
}

/**
 * Whether the request belongs to the conversation itself and not to a helper call of the CLI
 * (titles, summaries): only the conversation brings tools.
 */
export function isMainThread(body: MessagesRequest): boolean {
  return (body.tools?.length ?? 0) > 0;
}

function resultText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part: unknown) =>
      typeof part === "object" && part !== null && "text" in part ? String(part.text) : "",
    )
    .join("\n");
}
