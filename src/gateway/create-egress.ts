import { lookup as systemLookup } from "node:dns/promises";
import { chmod, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import type { Egress, EgressDoor } from "../ports/gateway.ts";
import { allowedHost } from "./allowed-hosts.ts";
import { type EgressRules, serveEgress } from "./serve-egress.ts";
import { socketPath } from "./socket-path.ts";

/** What an egress proxy is built from. */
export interface EgressOptions {
  /** Private directory for the sockets; short, for a socket path holds less than 100 bytes. */
  readonly dir: string;
  /** Told each time a destination (`host:port`) is refused, with the reason. */
  readonly onRefused?: (destination: string, reason: string) => void;
  /** All addresses of a name; by default the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly string[]>;
}

const REFUSED_KEPT_MAX = 100;
const CONNECTIONS_MAX = 128;

/** Opens proxies that let through exactly the listed hosts. `open` throws HostEntryFailure. */
export function createEgress(options: EgressOptions): Egress {
  let count = 0;
  return {
    async open(hosts) {
      if (hosts.length === 0) return null;
      const allowed = hosts.map(allowedHost);
      count += 1;
      const socket = await socketPath(options.dir, `e${process.pid}-${count}`);
      const refused = new Set<string>();
      const rules: EgressRules = {
        allowed,
        lookup: options.lookup ?? lookupAll,
        refused(destination, reason) {
          if (refused.size < REFUSED_KEPT_MAX) refused.add(destination);
          options.onRefused?.(destination, reason);
        },
      };
      return listen(socket, rules, refused);
    },
  };
}

async function listen(
  socket: string,
  rules: EgressRules,
  refused: ReadonlySet<string>,
): Promise<EgressDoor> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    open.add(client);
    client.once("close", () => open.delete(client));
    serveEgress(client, rules);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, resolve);
  });
  await chmod(socket, 0o600);
  return {
    socket,
    refused: () => [...refused],
    async close() {
      for (const client of open) client.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await rm(socket, { force: true });
    },
  };
}

async function lookupAll(host: string): Promise<readonly string[]> {
  return (await systemLookup(host, { all: true })).map(({ address }) => address);
}
