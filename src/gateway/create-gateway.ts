import { chmod, rm } from "node:fs/promises";
import type { Gateway, GatewayDoor } from "../ports/gateway.ts";
import { type ForwardRun, forward, type ModelCredential } from "./forward.ts";
import { createLoad } from "./load.ts";
import { messagesError } from "./messages-error.ts";
import { PRICES, type PriceTable } from "./prices.ts";
import { createMeter } from "./run-meter.ts";
import { socketPath } from "./socket-path.ts";

/** What the gateway is built from. */
export interface GatewayOptions {
  /** Private directory for the sockets; short, for a socket path holds less than 100 bytes. */
  readonly dir: string;
  /** Base url of the model's server; requests go to `<upstream>/v1/messages`. */
  readonly upstream: string;
  readonly credential: ModelCredential;
  readonly now: () => number;
  /** Makes an unguessable text (at least 128 bits) for each run. */
  readonly newCredential: () => string;
  /** Also listen on 127.0.0.1: for runs without a sandbox. */
  readonly loopback: boolean;
  readonly prices?: PriceTable;
  /** Default 32 MiB, the limit of the Messages API. */
  readonly bodyBytesMax?: number;
  /** Default one minute: how long a request may take to arrive over the run's own socket. */
  readonly bodyMsMax?: number;
  /** Default ten minutes, the CLI's own patience. */
  readonly silenceMsMax?: number;
}

/** The CLI asks one thing at a time (measured); a shell of the agent may ask more. */
const REQUESTS_PER_DOOR_MAX = 8;
/** For all runs together; while a request is read it takes a few times its size. */
const BYTES_MAX = 128 * 1024 * 1024;

type Server = ReturnType<typeof Bun.serve>;

/** Opens a door of its own for each run. A door and all its requests end with `close`. */
export function createGateway(options: GatewayOptions): Gateway {
  const doors = new Set<GatewayDoor>();
  let count = 0;
  const forwardOptions = {
    upstream: options.upstream.replace(/\/+$/, ""),
    credential: options.credential,
    now: options.now,
    bodyBytesMax: options.bodyBytesMax ?? 32 * 1024 * 1024,
    bodyMsMax: options.bodyMsMax ?? 60_000,
    silenceMsMax: options.silenceMsMax ?? 600_000,
  };
  const load = createLoad({
    requestsPerDoor: REQUESTS_PER_DOOR_MAX,
    // One of the largest and a little more: no run can take the room of the others.
    bytesPerDoor: forwardOptions.bodyBytesMax * 1.25,
    bytes: Math.max(BYTES_MAX, forwardOptions.bodyBytesMax),
  });
  const prices = options.prices ?? PRICES;
  return {
    async open({ usdLimit, model, spent }) {
      count += 1;
      const socket = await socketPath(options.dir, `g${process.pid}-${count}`);
      const meter = createMeter(prices);
      let isOpen = true;
      const run: ForwardRun = {
        dummy: options.newCredential(),
        usdLimit,
        model: model ?? null,
        prices,
        meter,
        load: load.door(),
        isOpen: () => isOpen,
        spent: spent ?? null,
      };
      const handling = {
        maxRequestBodySize: forwardOptions.bodyBytesMax,
        development: false,
        fetch(request: Request, server: Server): Promise<Response> {
          // Bun ends a request after ten silent seconds; a model may think for longer.
          server.timeout(request, 0);
          return forward(forwardOptions, run, request);
        },
        error: (): Response => messagesError(500, "api_error", "claude-hooks: the gateway failed"),
      } as const;
      const servers: Server[] = [Bun.serve({ ...handling, unix: socket })];
      await chmod(socket, 0o600);
      if (options.loopback) {
        servers.push(Bun.serve({ ...handling, hostname: "127.0.0.1", port: 0 }));
      }
      const port = servers[1]?.port;
      const door: GatewayDoor = {
        socket,
        url: port === undefined ? null : `http://127.0.0.1:${port}`,
        credential: run.dummy,
        meter: meter.read,
        async close() {
          isOpen = false;
          doors.delete(door);
          await Promise.all(servers.map((server) => server.stop(true)));
          await rm(socket, { force: true });
        },
      };
      doors.add(door);
      return door;
    },
    async stop() {
      await Promise.all([...doors].map((door) => door.close()));
    },
  };
}
