import { describe, expect, test } from "bun:test";
import type { SDKMessage } from "@anthropic-ai/claude-agent-sdk";
import { agentEvents } from "../../src/agent/agent-events.ts";
import { hasTranscript } from "../../src/agent/has-transcript.ts";

const message = (value: object) => value as unknown as SDKMessage;
const assistant = (content: readonly object[]) =>
  message({ type: "assistant", message: { content } });

describe("events", () => {
  test.each([
    [
      { type: "assistant", message: { content: [{ type: "text", text: "hello" }] } },
      [{ kind: "text", text: "hello" }],
    ],
    [
      {
        type: "assistant",
        message: { content: [{ type: "tool_use", name: "Bash", input: { command: "ls" } }] },
      },
      [{ kind: "tool", name: "Bash", input: '{"command":"ls"}' }],
    ],
    [
      {
        type: "user",
        message: {
          content: [
            {
              type: "tool_result",
              content: [{ type: "text", text: "a" }, { type: "image" }],
              is_error: true,
            },
          ],
        },
      },
      [{ kind: "tool_result", text: "a\n[image]", isError: true }],
    ],
    [
      { type: "system", subtype: "api_retry", attempt: 2, error_status: 529 },
      [{ kind: "retry", attempt: 2, status: 529 }],
    ],
    [{ type: "system", subtype: "status" }, [{ kind: "other", type: "system/status" }]],
    [{ type: "stream_event" }, [{ kind: "other", type: "stream_event" }]],
  ])("of %j", (value, events) => {
    expect(agentEvents(message(value))).toEqual(events as never);
  });

  test("are cut to 4 kB at a whole character", () => {
    const [event] = agentEvents(assistant([{ type: "text", text: "ä€😀".repeat(2_000) }]));

    const text = event?.kind === "text" ? event.text : "";
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4_096);
    expect(Buffer.byteLength(text)).toBeGreaterThan(4_080);
    expect(text).not.toContain("\uFFFD");
    expect(text).toEndWith("…");
  });
});

describe("a transcript", () => {
  test("is none for an id that is no UUID, whatever lies there", async () => {
    expect(await hasTranscript("/tmp", "../../etc/passwd")).toBe(false);
  });

  test.each([
    ["has content", "{}\n", true],
    ["is empty", "", false],
  ])("that %s counts: %p", async (_what, content, expected) => {
    const home = `/tmp/ch-transcript-${crypto.randomUUID()}`;
    const id = crypto.randomUUID();
    await Bun.write(`${home}/projects/-clone/${id}.jsonl`, content);
    await Bun.write(`${home}/projects/a-file`, "x");

    expect(await hasTranscript(home, id)).toBe(expected);
    expect(await hasTranscript(home, crypto.randomUUID())).toBe(false);
    expect(await hasTranscript(`${home}/none`, id)).toBe(false);
    await Bun.$`rm -r ${home}`;
  });
});
