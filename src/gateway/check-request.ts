import { z } from "zod";
import { parseJson } from "../json/parse.ts";

/** A request that may be passed on, or why it may not. */
export type CheckedRequest =
  | {
      readonly ok: true;
      readonly model: string;
      /** Null when it does not say. */
      readonly maxTokens: number | null;
      /** What is passed on: the request written anew, so that it has one meaning for everybody. */
      readonly text: string;
    }
  | { readonly ok: false; readonly refusal: string };

/** What the CLI 2.1.330 sends (measured, and read in its program), and what the API has always had. */
const FIELDS = new Set(
  "model messages system tools tool_choice metadata max_tokens thinking context_management output_config output_format stream temperature top_k top_p stop_sequences diagnostics".split(
    " ",
  ),
);

/**
 * Every `type` that may stand in messages and system. Left out is whatever makes the model's server
 * fetch something, run something or reach into the account of the key: files, containers, server
 * tools and their results, remote MCP servers.
 */
const TYPES: ReadonlySet<unknown> = new Set(
  "text image document tool_use tool_result thinking redacted_thinking search_result fallback compaction tool_addition tool_removal tool_reference tool_definition ephemeral base64 content custom char_location page_location content_block_location search_result_location".split(
    " ",
  ),
);
const SOURCES: ReadonlySet<unknown> = new Set(["base64", "text", "content"]);
/** A tool without a type is one that the caller runs itself; the CLI's own tools have none (measured). */
const TOOLS: ReadonlySet<unknown> = new Set([undefined, null, "custom"]);

const Request = z.looseObject({
  model: z.string().min(1).max(200),
  max_tokens: z.int().nonnegative().optional(),
  messages: z.array(z.unknown()),
  tools: z.array(z.looseObject({ type: z.unknown().optional() })).optional(),
});

/**
 * Looks at the body of a request for a way out of the jail: an agent with a shell can write its own
 * request, and what the model's server does for it (searching and fetching on the web, running code,
 * fetching an image by its url) reaches hosts that the egress list does not name. Only what is known
 * passes.
 */
export function checkRequest(body: Uint8Array): CheckedRequest {
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return refused("the request is not JSON");
  }
  const request = Request.safeParse(value);
  if (!request.success) return refused("the request is not one of the Messages API");
  const field = Object.keys(request.data).find((name) => !FIELDS.has(name));
  if (field !== undefined) return refused(`${named(field)} is not allowed here`);
  const tool = request.data.tools?.find(({ type }) => !TOOLS.has(type));
  if (tool !== undefined) return refused(`a tool of type ${named(tool.type)} is not allowed here`);
  const finding = lookThrough([request.data.messages, request.data["system"]]);
  if (finding !== null) return refused(finding);
  const { model, max_tokens: maxTokens = null } = request.data;
  return { ok: true, model, maxTokens, text: JSON.stringify(value) };
}

/** Not by recursion: how deep a request goes is up to its writer. */
function lookThrough(from: readonly unknown[]): string | null {
  const open = [...from];
  while (open.length > 0) {
    const at = open.pop();
    if (typeof at !== "object" || at === null) continue;
    if (Array.isArray(at)) {
      for (const one of at) open.push(one);
      continue;
    }
    const block = at as Readonly<Record<string, unknown>>;
    const finding = lookAt(block);
    if (finding !== null) return finding;
    for (const [name, inner] of Object.entries(block)) {
      // What the model called a tool with, and what it may call it with, is anybody's text.
      const isForeign =
        name === "input_schema" || (name === "input" && block["type"] === "tool_use");
      if (!isForeign) open.push(inner);
    }
  }
  return null;
}

function lookAt(block: Readonly<Record<string, unknown>>): string | null {
  const { type, source, definition } = block;
  // Of a search result it is a text.
  if (source !== undefined && typeof source !== "string" && !SOURCES.has(typeOf(source))) {
    return `a source of type ${named(typeOf(source))} is not allowed here`;
  }
  if (definition !== undefined && !TOOLS.has(typeOf(definition))) {
    return `a tool of type ${named(typeOf(definition))} is not allowed here`;
  }
  if (type !== undefined && !TYPES.has(type)) {
    return `content of type ${named(type)} is not allowed here`;
  }
  return null;
}

const typeOf = (value: unknown): unknown =>
  typeof value === "object" && value !== null && "type" in value ? value.type : undefined;

const named = (value: unknown): string => (JSON.stringify(value) ?? "none").slice(0, 100);

const refused = (refusal: string): CheckedRequest => ({ ok: false, refusal });
