import type { Log } from "../ports/observe.ts";

/** A listener that answers; `url` has no slash at its end. */
export interface Listener {
  readonly url: string;
  readonly port: number;
  /** Stops listening; waits for open requests unless `force`. */
  stop(force: boolean): Promise<void>;
}

/** Where to listen: an IPv6 address without brackets; port 0 takes any free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Where to listen, and what answers. */
export interface ServeOptions {
  readonly listen: ListenAddress;
  readonly maxRequestBodySize: number;
  readonly fetch: (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>;
  readonly log: Log;
}

/** A connection that says nothing for this long is closed, seconds. */
const IDLE_SECONDS = 10;

/**
 * Opens an HTTP listener that leaks nothing: Bun's own error page shows source lines and paths
 * (measured with Bun 1.4.5), so an exception is logged and answered 503; a request whose Host
 * makes its URL unreadable (`a b`, none, two) is answered 400 before anybody parses it. Throws
 * when the address is not ours or taken.
 */
export function serve(options: ServeOptions): Listener {
  const server = Bun.serve({
    hostname: options.listen.host,
    port: options.listen.port,
    // Bun 1.4.5 shares a port by itself when `development` is false (measured).
    reusePort: false,
    development: false,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: options.maxRequestBodySize,
    fetch: (request, self) =>
      hasOneHost(request)
        ? options.fetch(request, self)
        : Response.json({ error: "Host: must be given once and be a host" }, { status: 400 }),
    error: (error) => {
      options.log.error("request failed", { error: error.message });
      return unavailable();
    },
  });
  return {
    url: server.url.origin,
    port: server.port ?? options.listen.port,
    stop: async (force) => {
      await server.stop(force);
    },
  };
}

/** The answer to what should not happen: try again, and no word about why. */
export function unavailable(): Response {
  return Response.json(
    { error: "not available, try again" },
    { status: 503, headers: { "retry-after": "10" } },
  );
}

/** Two Host headers arrive joined by ", "; an impossible one leaves a URL without origin. */
function hasOneHost(request: Request): boolean {
  return URL.canParse(request.url) && request.headers.get("host")?.includes(",") === false;
}
