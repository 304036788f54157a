import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import {
  allowedHost,
  allowing,
  destination,
  HostEntryFailure,
  isPrivateAddress,
} from "../../src/gateway/allowed-hosts.ts";
import { createEgress } from "../../src/gateway/create-egress.ts";
import type { EgressDoor } from "../../src/ports/gateway.ts";

let dir = "";
let site: ReturnType<typeof Bun.serve>;
const doors: EgressDoor[] = [];

beforeAll(async () => {
  dir = await mkdtemp("/tmp/ch-eg-");
  site = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) =>
      Response.json({
        url: request.url,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
      }),
  });
});
afterEach(async () => {
  for (const door of doors.splice(0)) await door.close();
});
afterAll(async () => {
  await site.stop(true);
  await rm(dir, { recursive: true });
});

async function open(
  hosts: readonly string[],
  names: Readonly<Record<string, readonly string[]>> = {},
) {
  const lookup = (host: string) => {
    const addresses = names[host];
    return addresses === undefined
      ? Promise.reject(new Error("ENOTFOUND"))
      : Promise.resolve(addresses);
  };
  const door = await createEgress({ dir, lookup }).open(hosts);
  if (door === null) throw new Error("no door");
  doors.push(door);
  return door;
}

/** Sends bytes as they are and returns all that comes back. */
function say(door: EgressDoor, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(door.socket);
    let answer = "";
    socket.on("data", (piece) => {
      answer += piece.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
    socket.write(text);
  });
}

const get = (url: string, more = "") =>
  `GET ${url} HTTP/1.1\r\nHost: other.example.org\r\n${more}\r\n`;

describe("the proxy", () => {
  test("is not there without hosts", async () => {
    expect(await createEgress({ dir }).open([])).toBeNull();
  });

  test("is a private socket, gone after close", async () => {
    const door = await open(["example.org"]);

    expect(statSync(door.socket).mode & 0o777).toBe(0o600);
    await door.close();
    expect(existsSync(door.socket)).toBe(false);
  });

  test("tunnels to a listed address", async () => {
    const door = await open([`127.0.0.1:${site.port}`]);

    const inner = `GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const answer = await say(door, `CONNECT 127.0.0.1:${site.port} HTTP/1.1\r\n\r\n${inner}`);

    expect(answer).toStartWith("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK");
    expect(door.refused()).toEqual([]);
  });

  test("passes a plain request on, for the host of its url and once", async () => {
    const door = await open([`127.0.0.1:${site.port}`]);

    const answer = await say(
      door,
      get(`http://127.0.0.1:${site.port}/a?b=c`, "Proxy-Authorization: secret\r\nX-Kept: 1\r\n"),
    );

    expect(answer).toStartWith("HTTP/1.1 200 OK");
    expect(answer).toContain(`"url":"http://127.0.0.1:${site.port}/a?b=c"`);
    expect(answer).toContain('"x-kept":"1"');
    expect(answer).not.toContain("secret");
    expect(answer).not.toContain("other.example.org");
  });

  test.each([
    ["a host off the list", "CONNECT evil.example:443 HTTP/1.1\r\n\r\n", "evil.example:443"],
    ["another port", "CONNECT example.org:22 HTTP/1.1\r\n\r\n", "example.org:22"],
    ["a plain request off the list", get("http://evil.example/"), "evil.example:80"],
    [
      "a name that means this host",
      "CONNECT rebind.example.org:443 HTTP/1.1\r\n\r\n",
      "rebind.example.org:443",
    ],
    [
      "a name that means the metadata service",
      "CONNECT meta.example.org:443 HTTP/1.1\r\n\r\n",
      "meta.example.org:443",
    ],
    [
      "a name that also means this network",
      "CONNECT mixed.example.org:443 HTTP/1.1\r\n\r\n",
      "mixed.example.org:443",
    ],
    ["an address behind a wildcard", "CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n", "127.0.0.1:443"],
  ])("refuses %s and remembers it", async (_what, request, refused) => {
    const door = await open(["example.org", "*.example.org"], {
      "rebind.example.org": ["127.0.0.1"],
      "meta.example.org": ["169.254.169.254"],
      "mixed.example.org": ["93.184.216.34", "10.0.0.1"],
    });

    expect(await say(door, request)).toStartWith("HTTP/1.1 403 Forbidden");
    expect(door.refused()).toEqual([refused]);
  });

  test.each([
    ["no proxy request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["another scheme", get("https://example.org/")],
    ["a broken destination", "CONNECT example.org HTTP/1.1\r\n\r\n"],
    ["an address written as a number", "CONNECT 2130706433:443 HTTP/1.1\r\n\r\n"],
    ["a head without end", `CONNECT ${"x".repeat(20_000)}`],
  ])("answers 400 to %s", async (_what, request) => {
    const door = await open(["example.org"]);

    expect(await say(door, request)).toStartWith("HTTP/1.1 400 Bad Request");
  });

  test("answers 502 when the name has no address or nobody listens", async () => {
    const door = await open(["none.example.org", "127.0.0.1:1"]);

    expect(await say(door, "CONNECT none.example.org:443 HTTP/1.1\r\n\r\n")).toStartWith(
      "HTTP/1.1 502",
    );
    expect(await say(door, "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")).toStartWith("HTTP/1.1 502");
  });
});

describe("the list", () => {
  test.each([
    ["example.org", "example.org", 443, true],
    ["example.org", "EXAMPLE.org.", 80, true],
    ["example.org", "www.example.org", 443, false],
    ["example.org", "example.org", 8080, false],
    ["example.org:8080", "example.org", 8080, true],
    ["example.org:8080", "example.org", 443, false],
    ["*.example.org", "a.b.example.org", 443, true],
    ["*.example.org", "example.org", 443, false],
    ["*.example.org", "evilexample.org", 443, false],
    ["[::1]:8080", "[::1]", 8080, true],
    ["10.0.0.1", "10.0.0.1", 443, true],
  ])("%s lets %s:%d through: %p", (entry, host, port, expected) => {
    const to = destination(host, port);

    expect(to !== null && allowing([allowedHost(entry)], to) !== null).toBe(expected);
  });

  test.each([
    "",
    "*",
    "*.",
    "http://example.org",
    "example.org:0",
    "example.org:99999",
    "a b",
    "*.10.0.0.1",
    "a..b",
    "ex*mple.org",
  ])("does not take the entry %j", (entry) => {
    expect(() => allowedHost(entry)).toThrow(HostEntryFailure);
  });

  test.each([
    ["127.0.0.1", true],
    ["10.1.2.3", true],
    ["100.64.0.1", true],
    ["169.254.169.254", true],
    ["172.31.255.255", true],
    ["192.168.0.1", true],
    ["0.0.0.0", true],
    ["224.0.0.1", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["fe80::1", true],
    ["fd00::1", true],
    ["64:ff9b::7f00:1", true],
    ["2002:7f00:1::", true],
    ["nonsense", true],
    ["8.8.8.8", false],
    ["172.32.0.1", false],
    ["2606:4700::1111", false],
  ])("the address %s is private: %p", (address, expected) => {
    expect(isPrivateAddress(address)).toBe(expected);
  });
});
