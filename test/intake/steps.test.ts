import { expect, test } from "bun:test";
import { anything, assert, asyncProperty, jsonValue, string } from "fast-check";
import { createBodyReader } from "../../src/intake/body-reader.ts";
import { countDeliveries } from "../../src/intake/count-deliveries.ts";
import { isDeeperThan } from "../../src/intake/json-depth.ts";
import { readPayload } from "../../src/intake/payload.ts";
import { rawPath } from "../../src/intake/raw-path.ts";
import { isSigned } from "../../src/intake/signature.ts";

test("the depth found before parsing is the depth of the parsed value", async () => {
  await assert(
    asyncProperty(jsonValue({ maxDepth: 9 }), async (value) => {
      const json = new TextEncoder().encode(JSON.stringify(value));
      for (let max = 0; max < 10; max += 1) {
        expect(isDeeperThan(json, max)).toBe(depthOf(value) > max);
      }
    }),
    { numRuns: 300 },
  );
});

test("no text makes the signature check throw, and none but the MAC is taken", async () => {
  const body = new TextEncoder().encode("{}");
  await assert(
    asyncProperty(string({ unit: "binary" }), async (text) => {
      expect(isSigned(body, text, [Buffer.from("secret")])).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test("no value makes the payload reader throw, whatever the event", async () => {
  await assert(
    asyncProperty(anything(), async (value) => {
      for (const event of ["issues", "pull_request", "push", "delete", "status", "unknown"]) {
        expect(readPayload(event, value)).toHaveProperty("ok");
      }
    }),
    { numRuns: 300 },
  );
});

test.each([
  ["http://host/webhook", "/webhook"],
  ["http://host//webhook", "//webhook"],
  ["http://host/a?b/c#d", "/a"],
  ["http://host/a#b?c", "/a"],
  ["http://host/%77?x", "/%77"],
  ["http://host", ""],
  ["/webhook", "/webhook"],
])("the raw path of %s is %s", (url, path) => {
  expect(rawPath(url)).toBe(path);
});

test("deliveries are counted here and in the metrics", () => {
  const passed: string[] = [];
  const counter = countDeliveries({ delivery: (status) => passed.push(status) });

  for (const status of ["accepted", "refused", "refused", "other"]) {
    counter.delivery(status);
  }

  expect(counter.counts()).toEqual({ accepted: 1, duplicate: 0, ignored: 0, refused: 2 });
  expect(passed).toEqual(["accepted", "refused", "refused", "other"]);
});

test("bodies together never hold more than the common budget", async () => {
  const read = createBodyReader({ bodyBytes: 1_000, bodyMs: 10_000, openBytes: 1_500 });
  const { promise: freed, resolve: free } = Promise.withResolvers<void>();
  const held = read(chunked([new Uint8Array(900)], freed));

  const refused = await read(chunked([new Uint8Array(900)], Promise.resolve()));
  free();

  expect(refused).toEqual({ ok: false, why: "too_many" });
  expect(await held).toMatchObject({ ok: true });
  expect(await read(chunked([new Uint8Array(900)], Promise.resolve()))).toMatchObject({ ok: true });
});

/** A request whose body gives its pieces at once and ends when `end` resolves. */
function chunked(pieces: readonly Uint8Array[], end: Promise<void>): Request {
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (const piece of pieces) {
        controller.enqueue(piece);
      }
      await end;
      controller.close();
    },
  });
  return new Request("http://host/webhook", { method: "POST", body });
}

function depthOf(value: unknown): number {
  return typeof value === "object" && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
    : 0;
}
