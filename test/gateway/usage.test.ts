import { describe, expect, test } from "bun:test";
import { PRICES, priceOf } from "../../src/gateway/prices.ts";
import { type AnswerUsage, createStreamReader, usageOfBody } from "../../src/gateway/read-usage.ts";

const START = {
  type: "message_start",
  message: {
    model: "claude-opus-5-5",
    usage: {
      input_tokens: 10,
      cache_read_input_tokens: 3,
      cache_creation_input_tokens: null,
      output_tokens: 1,
    },
  },
};
const event = (data: { type: string }, newline = "\n") =>
  `event: ${data.type}${newline}data: ${JSON.stringify(data)}${newline}${newline}`;
const delta = (output: number) => ({
  type: "message_delta",
  delta: {},
  usage: { output_tokens: output },
});

function read(stream: string, sizes: number): AnswerUsage | undefined {
  const seen: AnswerUsage[] = [];
  const reader = createStreamReader((usage) => seen.push(usage));
  const bytes = new TextEncoder().encode(stream);
  for (let at = 0; at < bytes.length; at += sizes) reader.feed(bytes.subarray(at, at + sizes));
  return seen.at(-1);
}

describe("usage of a stream", () => {
  const expected = {
    model: "claude-opus-5-5",
    tokens: { input: 10, output: 42, cacheRead: 3, cacheWrite: 0 },
  };

  test.each([1, 7, 100_000])("is read from pieces of %d bytes, the newest total counts", (size) => {
    const text = {
      type: "content_block_delta",
      delta: { text: 'ä€ "message_delta" event: message_delta' },
    };

    expect(read(event(START) + event(text) + event(delta(7)) + event(delta(42)), size)).toEqual(
      expected,
    );
  });

  test("is read with other line ends and past a line too long to be kept", () => {
    const huge = { type: "content_block_delta", text: "x".repeat(600_000) };

    expect(read(event(START, "\r\n") + event(huge) + event(delta(42), "\r\n"), 65_536)).toEqual(
      expected,
    );
  });

  test("is not taken from content that looks like it, nor from garbage", () => {
    const fake = `event: content_block_delta\ndata: ${JSON.stringify(delta(9_999))}\n\n`;

    expect(
      read(`${event(START) + fake}event: message_delta\ndata: {oops\n\n${event(delta(42))}`, 50),
    ).toEqual(expected);
  });

  test("of a JSON body is read, other bodies have none", () => {
    expect(
      usageOfBody(
        JSON.stringify({ ...START.message, usage: { input_tokens: 1, output_tokens: 2 } }),
      )?.tokens,
    ).toEqual({ input: 1, output: 2, cacheRead: 0, cacheWrite: 0 });
    expect(usageOfBody('{"input_tokens":10}')).toBeNull();
    expect(usageOfBody("<html>")).toBeNull();
  });
});

describe("prices", () => {
  const million = { input: 1_000_000, output: 0, cacheRead: 0, cacheWrite: 0 };

  test.each([
    ["claude-opus-5-5", 4],
    ["claude-opus-4-5-20251101", 5],
    ["claude-sonnet-5-5", 2],
    ["claude-haiku-4-5", 1],
    ["another-model", 8],
    ["", 8],
  ])("of a million tokens of %s are %d USD", (model, usd) => {
    expect(priceOf(PRICES, model, million)).toBe(usd);
  });

  test("an empty table prices nothing", () => {
    expect(priceOf({}, "claude-opus-5-5", million)).toBe(0);
  });

  test("the longest beginning counts", () => {
    const price = (input: number) => ({ input, output: 0, cacheRead: 0, cacheWrite: 0 });

    expect(priceOf({ a: price(1), abc: price(3), ab: price(2) }, "abcd", million)).toBe(3);
  });
});
