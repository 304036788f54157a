import { describe, expect, test } from "bun:test";
import { bytesOf, deliveryHeaders, intakeWorld, issuePayload } from "../support/intake-world.ts";
import { rawExchange } from "../support/raw-exchange.ts";

const BODY = bytesOf(issuePayload());

/** The bytes of a valid delivery, with the head changed. */
function delivery(
  change: { line?: string; host?: string; extra?: readonly string[] } = {},
): string {
  const head = Object.entries(deliveryHeaders({}, BODY)).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return [
    change.line ?? "POST /webhook HTTP/1.1",
    change.host ?? "Host: hooks.example.org",
    ...head,
    ...(change.extra ?? [`Content-Length: ${BODY.byteLength}`]),
    "",
    BODY.toString(),
  ].join("\r\n");
}

function chunks(size: number, count: number): string[] {
  return Array.from({ length: count }, () => `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`);
}

const chunkedHead = `${delivery({ extra: ["Transfer-Encoding: chunked"] }).split("\r\n\r\n")[0]}\r\n\r\n`;

describe("bytes no client would send", () => {
  test.each<readonly [string, readonly string[], number | null]>([
    ["a plain delivery", [delivery()], 202],
    ["a delivery in pieces of 10 bytes", delivery().match(/.{1,10}/gs) ?? [], 202],
    [
      "a delivery in chunks",
      [chunkedHead, `${BODY.byteLength.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`],
      202,
    ],
    ["a double slash", [delivery({ line: "POST //webhook HTTP/1.1" })], 404],
    ["an encoded dot segment", [delivery({ line: "POST /x/%2e%2e/webhook2 HTTP/1.1" })], 404],
    ["a Host with a space", [delivery({ host: "Host: a b" })], 400],
    ["an empty Host", [delivery({ host: "Host: " })], 400],
    ["half an IPv6 Host", [delivery({ host: "Host: [::1" })], 400],
    ["a Host with a path", [delivery({ host: "Host: a/webhook" })], 400],
    ["a Host with a query", [delivery({ host: "Host: a?b" })], 400],
    ["no Host", [delivery({ host: "X-None: x" })], 400],
    ["two Hosts", [delivery({ host: "Host: a\r\nHost: b" })], 400],
    ["HTTP/1.0 without Host", ["GET /healthz HTTP/1.0\r\n\r\n"], 400],
    ["two signatures", [delivery({ host: "Host: a\r\nX-Forgejo-Signature: 00" })], 401],
    ["two event types", [delivery({ host: "Host: a\r\nX-Forgejo-Event-Type: push" })], 400],
    ["two delivery ids", [delivery({ host: "Host: a\r\nX-Forgejo-Delivery: 00000000" })], 400],
    ["two content types", [delivery({ host: "Host: a\r\nContent-Type: text/plain" })], 415],
    ["two lengths", [delivery({ extra: ["Content-Length: 1", "Content-Length: 2"] })], 400],
    ["a negative length", [delivery({ extra: ["Content-Length: -1"] })], 400],
    [
      "a length and chunks, as a smuggler sends",
      [delivery({ extra: ["Content-Length: 5", "Transfer-Encoding: chunked"] })],
      400,
    ],
    ["a chunk without size", [chunkedHead, "zz\r\nabc\r\n"], 400],
    [
      "a declared body of 4 GB that never comes",
      [delivery({ extra: ["Content-Length: 4000000000"] })],
      413,
    ],
    ["a declared body over the limit", [delivery({ extra: ["Content-Length: 2097153"] })], 413],
    ["chunks over the limit", [chunkedHead, ...chunks(500_000, 5)], 413],
    ["a header of 100 KB", [delivery({ host: `Host: a\r\nX-A: ${"a".repeat(100_000)}` })], 431],
    ["a header with a null byte", [delivery({ host: "Host: a\r\nX-A: a\0b" })], 400],
    ["a TLS hello", ["\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"], 400],
    ["OPTIONS *", ["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"], 400],
    ["an unknown method", ["BREW /webhook HTTP/1.1\r\nHost: a\r\n\r\n"], null],
  ])("%s", async (_name, pieces, status) => {
    await using world = await intakeWorld();

    const answer = await rawExchange({ port: world.listener.port, pieces });

    expect(answer.status).toBe(status);
    expect(answer.text).not.toMatch(/\/src\/|node_modules|Error:/);
    expect(answer.text).not.toContain(process.cwd());
    expect(world.recorded).toHaveLength(status === 202 ? 1 : 0);
    const another = issuePayload({ title: "another" });
    expect((await world.deliver({ body: another })).status).toBe(202);
  });

  test("a dripping body is answered 408 at the deadline, and the connection is closed", async () => {
    await using world = await intakeWorld({ bodyMs: 60 });
    const head = delivery().split("\r\n\r\n")[0];

    const answer = await rawExchange({
      port: world.listener.port,
      pieces: [`${head}\r\n\r\n`, ...Array.from({ length: 100 }, () => "{")],
      gapMs: 10,
      untilClosed: true,
    });

    expect(answer).toMatchObject({ status: 408, closed: true });
    expect(world.recorded).toEqual([]);
  });

  test("dripping chunks are answered 408 at the deadline, and the connection is closed", async () => {
    await using world = await intakeWorld({ bodyMs: 60 });

    const answer = await rawExchange({
      port: world.listener.port,
      pieces: [chunkedHead, ...Array.from({ length: 100 }, () => "1\r\n{\r\n")],
      gapMs: 10,
      untilClosed: true,
    });

    expect(answer).toMatchObject({ status: 408, closed: true });
    expect(world.recorded).toEqual([]);
  });
});

describe("the health check", () => {
  test("says the process is alive", async () => {
    await using world = await intakeWorld();

    const response = await fetch(`${world.listener.url}/healthz`);

    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ status: "alive" });
    expect(world.counted).toEqual([]);
  });

  test("takes GET and HEAD only", async () => {
    await using world = await intakeWorld();

    const response = await fetch(`${world.listener.url}/healthz`, { method: "DELETE" });

    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
  });
});
