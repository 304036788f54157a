import { BlockList, isIP } from "node:net";

/** Where an agent wants to go: `host` in lower case, without brackets and final dot. */
export interface Destination {
  readonly host: string;
  readonly port: number;
}

/** One entry of a list of allowed hosts. */
export interface AllowedHost {
  readonly host: string;
  /** `*.suffix`: every name below the suffix, not the suffix itself. */
  readonly below: boolean;
  readonly ports: readonly number[];
}

/** An entry of a host list that cannot be understood. */
export class HostEntryFailure extends Error {
  override readonly name = "HostEntryFailure";
}

const WEB_PORTS = [443, 80];
const NAME =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * Reads `host` (ports 443 and 80), `host:port`, `*.suffix`, `*.suffix:port`, `[v6]`, `[v6]:port`.
 * Throws HostEntryFailure, which names the entry.
 */
export function allowedHost(entry: string): AllowedHost {
  const found = /^(\*\.)?(\[[0-9a-f:.]+\]|[^:[\]*]+)(?::(\d{1,5}))?$/i.exec(entry.trim());
  const host = plainHost(found?.[2] ?? "");
  const port = found?.[3] === undefined ? null : Number(found[3]);
  const below = found?.[1] !== undefined;
  if (host === null || (below && isIP(host) !== 0) || (port !== null && !isPort(port))) {
    throw new HostEntryFailure(
      `"${entry}" names no host: write host, host:port, *.suffix or [v6]:port`,
    );
  }
  return { host, below, ports: port === null ? WEB_PORTS : [port] };
}

/** `host:port` as a CONNECT request or a url has it; null when it is neither a name nor an address. */
export function destination(host: string, port: number): Destination | null {
  const plain = plainHost(host);
  return plain === null || !isPort(port) ? null : { host: plain, port };
}

/** The entry that lets the destination through, or null. */
export function allowing(
  list: readonly AllowedHost[],
  { host, port }: Destination,
): AllowedHost | null {
  const fits = (entry: AllowedHost): boolean =>
    entry.ports.includes(port) &&
    (entry.below ? host.endsWith(`.${entry.host}`) && isIP(host) === 0 : entry.host === host);
  return list.find(fits) ?? null;
}

/**
 * Whether the address belongs to this host, its network or a cloud's metadata service (IANA special
 * purpose registries), also when an IPv6 address carries such an IPv4 one.
 */
export function isPrivateAddress(address: string): boolean {
  if (isIP(address) === 4) return PRIVATE_V4.check(address, "ipv4");
  if (isIP(address) !== 6) return true;
  return PRIVATE_V6.check(address, "ipv6");
}

// Two lists: in one, an IPv4 address also meets the IPv6 rules as ::ffff:a.b.c.d.
const PRIVATE_V4 = new BlockList();
const PRIVATE_V6 = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  PRIVATE_V4.addSubnet(network, bits, "ipv4");
}
for (const [network, bits] of [
  // Everything outside 2000::/3 (global unicast), and of it what translates to IPv4 addresses.
  ["::", 3],
  ["4000::", 2],
  ["8000::", 1],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
] as const) {
  PRIVATE_V6.addSubnet(network, bits, "ipv6");
}

function plainHost(text: string): string | null {
  const host = text
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
  if (isIP(host) !== 0) return host;
  // Names made of numbers are addresses to some resolvers (0x7f.1, 2130706433).
  if (!NAME.test(host) || host.length > 253) return null;
  return /^(0x[0-9a-f]*|\d+)$/.test(host.split(".").at(-1) ?? "") ? null : host;
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;
