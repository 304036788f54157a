import { connect, isIP, type Socket } from "node:net";
import {
  type AllowedHost,
  allowing,
  type Destination,
  destination,
  isPrivateAddress,
} from "./allowed-hosts.ts";

/** What a proxy lets through, and whom it tells of what it does not. */
export interface EgressRules {
  readonly allowed: readonly AllowedHost[];
  readonly lookup: (host: string) => Promise<readonly string[]>;
  readonly refused: (destination: string, reason: string) => void;
}

const HEAD_BYTES_MAX = 16 * 1024;
const HEAD_MS_MAX = 10_000;
const CONNECT_MS_MAX = 15_000;
const SILENCE_MS_MAX = 300_000;

/** What the first lines of a connection ask for. */
interface Asked {
  readonly to: Destination;
  /** What is sent to the destination first; empty for a tunnel. */
  readonly first: string;
  readonly tunnel: boolean;
}

/**
 * Serves one connection of an HTTP proxy: CONNECT, or a request with an absolute http url, which
 * is passed on with `Connection: close` (one request per connection: a second one could name
 * another host). The name is resolved here and the connection goes to the very address that was
 * checked, so that a name cannot change its meaning in between.
 */
export function serveEgress(client: Socket, rules: EgressRules): void {
  let head = Buffer.alloc(0);
  client.setTimeout(HEAD_MS_MAX, () => client.destroy());
  client.on("error", () => client.destroy());
  const read = (piece: Buffer): void => {
    head = Buffer.concat([head, piece]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0 && head.length <= HEAD_BYTES_MAX) return;
    client.off("data", read);
    client.pause();
    const asked = end < 0 ? null : parseHead(head.subarray(0, end).toString("latin1"));
    if (asked === null) {
      answer(client, 400, "claude-hooks: CONNECT host:port or an absolute http url is expected");
      return;
    }
    pass(client, rules, asked, head.subarray(end + 4)).catch((error: unknown) => {
      answer(client, 502, `claude-hooks: ${error instanceof Error ? error.message : "failed"}`);
    });
  };
  client.on("data", read);
}

async function pass(client: Socket, rules: EgressRules, asked: Asked, rest: Buffer): Promise<void> {
  const name = `${asked.to.host}:${asked.to.port}`;
  const refuse = (reason: string): void => {
    rules.refused(name, reason);
    answer(client, 403, `claude-hooks: ${name} ${reason}`);
  };
  const entry = allowing(rules.allowed, asked.to);
  if (entry === null) return refuse("is not on the list of allowed hosts");
  const address = await addressOf(asked.to.host, rules);
  if (address === null) return refuse("resolves to an address of this host or its network");
  const server = connect({ host: address, port: asked.to.port, timeout: CONNECT_MS_MAX });
  await new Promise<void>((resolve, reject) => {
    server.once("connect", resolve);
    server.once("error", () => reject(new Error(`${name} cannot be reached`)));
    server.once("timeout", () => reject(new Error(`${name} does not answer`)));
  }).catch((error: unknown) => {
    server.destroy();
    throw error;
  });
  join(client, server);
  if (asked.tunnel) client.write("HTTP/1.1 200 Connection established\r\n\r\n");
  server.write(Buffer.concat([Buffer.from(asked.first, "latin1"), rest]));
}

/** The address to connect to; null when it may not be. A listed literal address may be any. */
async function addressOf(host: string, rules: EgressRules): Promise<string | null> {
  if (isIP(host) !== 0) return host;
  const addresses = await rules.lookup(host).catch(() => {
    throw new Error(`${host} has no address`);
  });
  return addresses.some(isPrivateAddress) ? null : (addresses[0] ?? null);
}

/** Both directions until either side has had enough. */
function join(client: Socket, server: Socket): void {
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.setTimeout(SILENCE_MS_MAX, () => one.destroy());
    one.on("error", () => other.destroy());
    // What is still buffered for the other side is sent before it is closed.
    one.on("close", (broken) => (broken ? other.destroy() : other.end()));
    one.pipe(other);
  }
}

function parseHead(head: string): Asked | null {
  const [line = "", ...fields] = head.split("\r\n");
  const [, method = "", target = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(line) ?? [];
  if (method === "CONNECT") {
    const found = /^(\[[^\]]+\]|[^:]+):(\d{1,5})$/.exec(target);
    const to = destination(found?.[1] ?? "", Number(found?.[2]));
    return to === null ? null : { to, first: "", tunnel: true };
  }
  if (!URL.canParse(target) || !target.toLowerCase().startsWith("http://")) return null;
  const url = new URL(target);
  const to = destination(url.hostname, url.port === "" ? 80 : Number(url.port));
  if (to === null) return null;
  const kept = fields.filter(
    (field) => !/^(host|connection|keep-alive|proxy-[a-z]+)\s*:/i.test(field),
  );
  const first = [
    `${method} ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Connection: close",
    ...kept,
  ];
  return { to, first: `${first.join("\r\n")}\r\n\r\n`, tunnel: false };
}

function answer(client: Socket, status: 400 | 403 | 502, text: string): void {
  const words = { 400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway" }[status];
  client.end(
    `HTTP/1.1 ${status} ${words}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text) + 1}\r\nConnection: close\r\n\r\n${text}\n`,
  );
  // What the client still sends is read and forgotten, so that it can read the answer.
  client.resume();
}
