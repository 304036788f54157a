import { Hono } from "hono";
import type { Intake } from "../intake/create-intake.ts";
import { rawPath } from "../intake/raw-path.ts";
import type { Log } from "../ports/observe.ts";
import { type ListenAddress, type Listener, serve, unavailable } from "./serve.ts";

/**
 * Far above every limit of the intake, so that its own checks answer in their order; what is not
 * read is thrown away as it comes (measured with Bun 1.4.5: 300 MB unread, memory flat).
 */
const MOST_BYTES = 1024 ** 3;

/** Where the forge calls, and what answers it. */
export interface PublicListenerOptions {
  readonly listen: ListenAddress;
  readonly intake: Intake;
  readonly log: Log;
}

/**
 * Opens the listener the forge calls: `GET /healthz` says the process is alive, everything else is
 * the intake's, which knows one path. Throws when the address is not ours or taken.
 */
export function createPublicListener(options: PublicListenerOptions): Listener {
  const app = new Hono<{ Bindings: { server: Bun.Server<undefined> } }>({
    getPath: (request) => rawPath(request.url),
  });
  app.on(["GET", "HEAD"], "/healthz", (context) => context.json({ status: "alive" }));
  app.all("/healthz", (context) =>
    context.json({ error: "only GET" }, { status: 405, headers: { allow: "GET, HEAD" } }),
  );
  app.all("*", (context) => options.intake(context.req.raw, context.env.server));
  app.onError((error) => {
    options.log.error("request failed", { error: error.message });
    return unavailable();
  });
  return serve({
    listen: options.listen,
    maxRequestBodySize: MOST_BYTES,
    log: options.log,
    fetch: (request, server) => app.fetch(request, { server }),
  });
}
