import { describe, expect, test } from "bun:test";
import { checkRequest } from "../../src/gateway/check-request.ts";

const user = (...content: readonly unknown[]) => ({ messages: [{ role: "user", content }] });
const request = (more: object = {}) =>
  JSON.stringify({ model: "claude-opus-5-5", max_tokens: 10, messages: [], ...more });
const check = (text: string) => checkRequest(new TextEncoder().encode(text));
const EVIL = "https://evil.example/?d=secret";
const image = (source: unknown) => ({ type: "image", source });
const tool = (more: object) => ({ tools: [{ name: "t", ...more }] });

describe("a request that is passed on", () => {
  test.each<[string, object]>([
    ["a pasted image", user(image({ type: "base64", media_type: "image/png", data: "AA==" }))],
    ["a pasted text", user({ type: "document", source: { type: "text", data: "x" } })],
    [
      "a document made of blocks",
      user({
        type: "document",
        source: { type: "content", content: [{ type: "text", text: "x" }] },
      }),
    ],
    [
      "an image a tool read",
      user({
        type: "tool_result",
        tool_use_id: "t",
        content: [image({ type: "base64", data: "" })],
      }),
    ],
    [
      "the model's own call, whatever it says",
      {
        messages: [
          {
            role: "assistant",
            content: [
              { type: "thinking", thinking: "", signature: "" },
              {
                type: "tool_use",
                id: "t",
                name: "n",
                input: { type: "x", source: { type: "url" } },
              },
            ],
          },
        ],
      },
    ],
    ["a tool", tool({ input_schema: { properties: { source: { type: "string" } } } })],
    ["a tool that says it is one", tool({ type: "custom" })],
    [
      "a system text",
      { system: [{ type: "text", text: EVIL, cache_control: { type: "ephemeral" } }] },
    ],
    [
      "a tool that came later",
      {
        messages: [
          {
            role: "system",
            content: [{ type: "tool_addition", tool: { type: "tool_reference", name: "t" } }],
          },
        ],
      },
    ],
  ])("has %s", (_what, more) => {
    const text = request(more);

    expect(check(text)).toEqual({ ok: true, model: "claude-opus-5-5", maxTokens: 10, text });
  });

  test("has one meaning: of a name given twice only what was looked at is left", () => {
    const twice =
      '{"model":"m","tools":[{"type":"web_fetch_20250910","name":"w"}],"messages":[],"tools":[]}';

    expect(check(twice)).toMatchObject({
      ok: true,
      text: '{"model":"m","tools":[],"messages":[]}',
    });
  });
});

describe("a request that is refused", () => {
  const serverTool = { type: "web_search_20260101", name: "w" };

  test.each<[string, object, string]>([
    ["an image by its url", user(image({ type: "url", url: EVIL })), '"url"'],
    ["a file of the account", user({ type: "document", source: { type: "file" } }), '"file"'],
    ["a source without a type", user(image({ url: EVIL })), "source"],
    ["a source that is a list", user(image([{ type: "base64" }])), "source"],
    [
      "a url inside a tool's result",
      user({ type: "tool_result", content: [image({ type: "url", url: EVIL })] }),
      '"url"',
    ],
    [
      "a url inside a document made of blocks",
      user({
        type: "document",
        source: { type: "content", content: [image({ type: "url", url: EVIL })] },
      }),
      '"url"',
    ],
    ["a url in the system text", { system: [image({ type: "url", url: EVIL })] }, '"url"'],
    [
      "a url below an input that is none",
      user({ type: "text", input: image({ type: "url" }) }),
      "url",
    ],
    [
      "an upload to a container",
      user({ type: "container_upload", file_id: "f" }),
      "container_upload",
    ],
    ["a container", { container: { id: "c" } }, '"container"'],
    ["remote servers, even none", { mcp_servers: [] }, '"mcp_servers"'],
    ["an unknown field", { speed: "fast" }, '"speed"'],
    ["a type that is no text", user({ type: ["text"] }), "content"],
    ["a call of a server tool", user({ type: "server_tool_use", name: "w" }), "server_tool_use"],
    [
      "a server tool that came later",
      {
        messages: [
          {
            role: "system",
            content: [
              { type: "tool_addition", tool: { type: "tool_definition", definition: serverTool } },
            ],
          },
        ],
      },
      "web_search_20260101",
    ],
    ...[
      ...["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset"],
      ...["bash_code_execution_20260101", "tool_search_tool_regex", "advisor_20260301"],
      ...["bash_20250124", "text_editor_20250728", "memory_20250818", "not_known_yet"],
    ].map((type): [string, object, string] => [`the tool ${type}`, tool({ type }), type]),
    ["a tool whose type is a list", tool({ type: ["custom"] }), "custom"],
    ["a model that is none", { model: 5 }, "Messages API"],
    ["a negative length", { max_tokens: -1 }, "Messages API"],
  ])("has %s", (_what, more, words) => {
    const answer = check(request(more));

    expect(answer).toEqual({ ok: false, refusal: expect.stringContaining(words) });
  });

  test.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["deeper than anybody writes", `${"[".repeat(200_000)}${"]".repeat(200_000)}`],
  ])("is %s", (_what, text) => {
    expect(check(text).ok).toBe(false);
  });

  test("is no UTF-8", () => {
    expect(checkRequest(Buffer.from([0x22, 0xff, 0x22])).ok).toBe(false);
  });
});
