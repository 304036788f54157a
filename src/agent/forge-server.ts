import {
  createSdkMcpServer,
  type McpSdkServerConfigWithInstance,
} from "@anthropic-ai/claude-agent-sdk";
import { z } from "zod";
import type { ToolAnswer, ToolCall, ToolName } from "../domain/tools.ts";
import { FORGE_TOOLS } from "./tool-schemas.ts";

/** The model sees the tools as `mcp__forge__<tool>`. */
export const FORGE_SERVER = "forge";

/** An effect may wait for the forge (a merge is retried for two minutes); then the CLI gives up. */
const CALL_MS_MAX = 600_000;
const ANSWER_CHARS_MAX = 2_000;

/** Where the CLI puts the id of the model's tool call (measured with the CLI 2.1.330). */
const CallContext = z.looseObject({
  _meta: z.looseObject({ "claudecode/toolUseId": z.string() }),
});

/**
 * The in-process server with the tools of one query; a server must never serve two queries, the
 * second one silently gets no tools. The tools are registered on the server itself and not through
 * the SDK's `tool()`, which rebuilds the schema from its fields and so loses its strictness:
 * unknown keys would be dropped instead of refused.
 */
export function createForgeServer(
  tools: readonly ToolName[],
  call: (call: ToolCall, toolUseId: string) => Promise<ToolAnswer>,
): McpSdkServerConfigWithInstance {
  const server = createSdkMcpServer({
    name: FORGE_SERVER,
    version: "1",
    tools: [],
    timeout: CALL_MS_MAX,
  });
  for (const tool of tools) {
    const { description, input } = FORGE_TOOLS[tool];
    server.instance.registerTool(
      tool,
      { description, inputSchema: input, _meta: { "anthropic/alwaysLoad": true } },
      async (given: unknown, context: unknown) => {
        const answer = await answerOf(() =>
          call({ tool, input: given } as ToolCall, idOf(context)),
        );
        return {
          content: [{ type: "text" as const, text: oneLine(answer.text) }],
          isError: !answer.ok,
        };
      },
    );
  }
  return server;
}

/** `call` never throws by contract; if it does, the model must not read the inside of the service. */
async function answerOf(call: () => Promise<ToolAnswer>): Promise<ToolAnswer> {
  try {
    return await call();
  } catch {
    return {
      ok: false,
      text: "the service failed to carry this out; nothing is known of its effect",
    };
  }
}

function idOf(context: unknown): string {
  const parsed = CallContext.safeParse(context);
  return parsed.success ? parsed.data._meta["claudecode/toolUseId"] : "";
}

const oneLine = (text: string): string =>
  text
    .replace(/\s*[\r\n]+\s*/g, " ")
    .trim()
    .slice(0, ANSWER_CHARS_MAX);
