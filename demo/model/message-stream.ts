/** Token counts as the Messages API reports them. */
export interface Usage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_read_input_tokens: number;
  readonly cache_creation_input_tokens: number;
}

type AnswerBlock =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "tool_use";
      readonly id: string;
      readonly name: string;
      readonly input: unknown;
    };

/** A whole answer of the model, before it is written as JSON or as a stream. */
export interface ModelAnswer {
  readonly id: string;
  readonly model: string;
  readonly content: readonly AnswerBlock[];
  readonly stopReason: string;
  readonly usage: Usage;
}

/** The answer as the JSON body of a request without `stream`. */
export function messageBody(answer: ModelAnswer): unknown {
  return {
    id: answer.id,
    type: "message",
    role: "assistant",
    model: answer.model,
    content: answer.content,
    stop_reason: answer.stopReason,
    stop_sequence: null,
    usage: answer.usage,
  };
}

/** The answer as the server-sent events of the Messages API, in their documented order. */
export function messageEvents(answer: ModelAnswer): string {
  const start = {
    ...(messageBody({
      ...answer,
      content: [],
      usage: { ...answer.usage, output_tokens: 1 },
    }) as object),
    stop_reason: null,
  };
  return [
    event("message_start", { message: start }),
    ...answer.content.flatMap((block, index) => blockEvents(block, index)),
    event("message_delta", {
      delta: { stop_reason: answer.stopReason, stop_sequence: null },
      usage: { output_tokens: answer.usage.output_tokens },
    }),
    event("message_stop", {}),
  ].join("");
}

/** An `error` event in the middle of a stream, after `message_start`. */
export function streamErrorEvents(answer: ModelAnswer, type: string, message: string): string {
  const events = messageEvents({ ...answer, content: [] });
  const first = events.slice(0, events.indexOf("\n\n") + 2);
  return first + event("error", { error: { type, message } });
}

function blockEvents(block: AnswerBlock, index: number): readonly string[] {
  const opened = block.type === "text" ? { type: "text", text: "" } : { ...block, input: {} };
  const delta =
    block.type === "text"
      ? { type: "text_delta", text: block.text }
      : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
  return [
    event("content_block_start", { index, content_block: opened }),
    event("content_block_delta", { index, delta }),
    event("content_block_stop", { index }),
  ];
}

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}
