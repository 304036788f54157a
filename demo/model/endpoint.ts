import type { Server } from "bun";
import { parseJson } from "../../src/json/parse.ts";
import {
  type ModelAnswer,
  messageBody,
  messageEvents,
  streamErrorEvents,
  type Usage,
} from "./message-stream.ts";
import { isMainThread, MessagesRequest } from "./messages-request.ts";

/** What the scripted model does with one request. Fields combine; an empty step ends the turn. */
export interface Step {
  readonly text?: string;
  readonly tools?: readonly { readonly name: string; readonly input: unknown }[];
  /** Answer with this HTTP status and body instead of a message. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Never answer; the request ends when the other side gives up. */
  readonly hang?: boolean;
  /** Break the connection off in the middle of the answer. */
  readonly destroy?: boolean;
  /** Send an `error` event after `message_start`. */
  readonly streamError?: { readonly type: string; readonly message: string };
  readonly delayMs?: number;
  readonly usage?: Partial<Usage>;
  readonly stopReason?: string;
}

/** One request as it came in. `main` is false for helper calls of the CLI. */
export interface RecordedRequest {
  readonly n: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly raw: string;
  readonly body: MessagesRequest;
  readonly main: boolean;
  /** What was answered as usage; null when no message was answered. */
  usage: Usage | null;
}

/** The running scripted model. */
export interface ModelEndpoint {
  readonly url: string;
  readonly port: number;
  /** The newest requests to `/v1/messages`, oldest first, at most `REQUESTS_KEPT_MAX`. */
  readonly requests: readonly RecordedRequest[];
  stop(): Promise<void>;
}

export interface ModelEndpointOptions {
  /** 0 or absent: any free port of 127.0.0.1. */
  readonly port?: number;
  readonly respond: (request: RecordedRequest) => Step | Promise<Step>;
}

const REQUESTS_KEPT_MAX = 500;
const BODY_BYTES_MAX = 64 * 1024 * 1024;

/**
 * A Messages API on loopback whose answers are scripted: real enough for the CLI of
 * claude-agent-sdk 0.3.330 (streaming, tool calls, errors, usage). It never checks a key.
 */
export function startModelEndpoint(options: ModelEndpointOptions): ModelEndpoint {
  const requests: RecordedRequest[] = [];
  let count = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    idleTimeout: 0,
    maxRequestBodySize: BODY_BYTES_MAX,
    development: false,
    error: (error) => errorAnswer(500, "api_error", error.message),
    async fetch(request, self: Server<undefined>) {
      const path = new URL(request.url).pathname;
      if (request.method !== "POST") return errorAnswer(404, "not_found_error", "Not found");
      if (path === "/v1/messages/count_tokens") {
        return Response.json({ input_tokens: tokensOf(await request.text()) });
      }
      if (path !== "/v1/messages") return errorAnswer(404, "not_found_error", "Not found");
      const raw = await request.text();
      const body = MessagesRequest.safeParse(parseJson(raw));
      if (!body.success) return errorAnswer(400, "invalid_request_error", body.error.message);
      count += 1;
      const recorded: RecordedRequest = {
        n: count,
        method: request.method,
        path: request.url.slice(request.url.indexOf(path)),
        headers: Object.fromEntries(request.headers),
        raw,
        body: body.data,
        main: isMainThread(body.data),
        usage: null,
      };
      requests.push(recorded);
      if (requests.length > REQUESTS_KEPT_MAX) requests.shift();
      self.timeout(request, 0);
      return answer(recorded, await options.respond(recorded), request.signal);
    },
  });
  const port = server.port ?? 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    stop: () => server.stop(true),
  };
}

async function answer(request: RecordedRequest, step: Step, gone: AbortSignal): Promise<Response> {
  if (step.delayMs !== undefined) await Bun.sleep(step.delayMs);
  if (step.hang === true) {
    await new Promise<void>((resolve) => {
      gone.addEventListener("abort", () => resolve(), { once: true });
    });
    return new Response(null, { status: 499 });
  }
  const headers = { ...step.headers, "request-id": `req_scripted_${request.n}` };
  if (step.status !== undefined && step.status !== 200) {
    return Response.json(step.body ?? {}, { status: step.status, headers });
  }
  const message = messageOf(request, step);
  if (step.destroy === true) return brokenStream(messageEvents(message));
  request.usage = message.usage;
  if (request.body.stream !== true) return Response.json(messageBody(message), { headers });
  const events =
    step.streamError === undefined
      ? messageEvents(message)
      : streamErrorEvents(message, step.streamError.type, step.streamError.message);
  return new Response(events, { headers: { ...headers, "content-type": "text/event-stream" } });
}

function messageOf(request: RecordedRequest, step: Step): ModelAnswer {
  const tools = step.tools ?? [];
  const content = [
    ...(step.text === undefined ? [] : [{ type: "text" as const, text: step.text }]),
    ...tools.map((tool, index) => ({
      type: "tool_use" as const,
      id: `toolu_scripted_${request.n}_${index}_${Bun.hash(request.raw).toString(36)}`,
      name: tool.name,
      input: tool.input,
    })),
  ];
  return {
    id: `msg_scripted_${request.n}_${Bun.hash(request.raw).toString(36)}`,
    model: request.body.model,
    content,
    stopReason: step.stopReason ?? (tools.length > 0 ? "tool_use" : "end_turn"),
    usage: { ...plausibleUsage(request, JSON.stringify(content)), ...step.usage },
  };
}

/**
 * Four bytes a token. A conversation that already holds an answer reads what came before from the
 * cache and writes only its newest two messages; the first request writes everything.
 */
function plausibleUsage(request: RecordedRequest, content: string): Usage {
  const all = tokensOf(request.raw);
  const resumed = request.body.messages.some((message) => message.role === "assistant");
  const fresh = resumed ? tokensOf(JSON.stringify(request.body.messages.slice(-2))) : all;
  const written = Math.min(all, fresh);
  return {
    input_tokens: 4,
    output_tokens: tokensOf(content),
    cache_read_input_tokens: all - written,
    cache_creation_input_tokens: written,
  };
}

const tokensOf = (text: string): number => Math.max(1, Math.ceil(Buffer.byteLength(text) / 4));

/** Half an answer, then the connection breaks. */
function brokenStream(events: string): Response {
  const half = new TextEncoder().encode(events.slice(0, Math.floor(events.length / 2)));
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(half);
    },
    async pull(controller) {
      await Bun.sleep(20);
      controller.error(new Error("the scripted model broke off"));
    },
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}

function errorAnswer(status: number, type: string, message: string): Response {
  return Response.json({ type: "error", error: { type, message } }, { status });
}
