import { z } from "zod";
import { parseJson } from "../json/parse.ts";

/** Only what could make the model's server act on the network in the agent's name. */
const Request = z.looseObject({
  tools: z.array(z.looseObject({ type: z.string().optional() })).optional(),
  mcp_servers: z.array(z.unknown()).optional(),
});

const SERVER_TOOL = /^(web_search|web_fetch|code_execution|mcp_toolset|computer)/;

/**
 * Looks at the body of a request for a way out of the jail: an agent with a shell can write its own
 * request, and tools that run at the model's server (web search, web fetch, remote MCP servers,
 * code execution) reach hosts that the egress list does not name. Returns why the request is
 * refused, or null.
 */
export function checkRequest(body: Uint8Array): string | null {
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return "the request is not JSON";
  }
  const request = Request.safeParse(value);
  if (!request.success) return "the request is not one of the Messages API";
  if ((request.data.mcp_servers?.length ?? 0) > 0) return "mcp_servers is not allowed here";
  const tool = request.data.tools?.find(({ type }) => type !== undefined && SERVER_TOOL.test(type));
  return tool === undefined ? null : `the server tool ${tool.type} is not allowed here`;
}
