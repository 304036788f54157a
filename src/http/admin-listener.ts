import { type Context, Hono, type MiddlewareHandler } from "hono";
import { setCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import { rawPath } from "../intake/raw-path.ts";
import { checkOrigin, checkToken } from "./admin-access.ts";
import { createAdminApi } from "./admin-api.ts";
import type { AdminOptions } from "./admin-options.ts";
import { heldRow } from "./held-row.ts";
import { createTextReader } from "./json-body.ts";
import { createLoginLimit } from "./login-limit.ts";
import { dashboardPage, loginPage, styleSource } from "./pages.ts";
import { readStatus } from "./read-status.ts";
import { secretEquals } from "./secret-equals.ts";
import { type Listener, serve, unavailable } from "./serve.ts";
import { makeSession, SESSION_COOKIE, SESSION_SECONDS } from "./session-cookie.ts";

/** Above the 64 KiB of the API, so that its own answer is the one that is seen. */
const MOST_BYTES = 16 * 1024 * 1024;
const ROWS_OF_A_PAGE = 100;
const PATH_CHARACTERS_MAX = 300;

/**
 * Opens the operator's listener. Every call needs the admin token or the cookie of a login, but
 * `GET /healthz` and `/login`; Host and Origin are checked for all. Throws when the address is
 * not ours or taken.
 */
export function createAdminListener(options: AdminOptions): Listener {
  const app = new Hono({ getPath: (request) => rawPath(request.url) });
  app.use(
    "*",
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        styleSrc: [styleSource()],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
      strictTransportSecurity: false,
      // Not `no-referrer`: a browser then sends `Origin: null` with our own login form.
      referrerPolicy: "same-origin",
      xFrameOptions: "DENY",
    }),
    async (context, next) => {
      await next();
      context.header("cache-control", "no-store");
    },
    checkOrigin(options),
  );
  app.get("/healthz", (context) => context.json({ status: "alive" }));
  addLogin(app, options);
  app.use("*", checkToken(options), auditChanges(options));
  addPages(app, options);
  app.route("/", createAdminApi(options));
  app.notFound((context) => context.json({ error: "not found" }, 404));
  app.onError((error) => {
    options.log.error("request failed", { error: error.message });
    return unavailable();
  });
  return serve({
    listen: options.listen,
    maxRequestBodySize: MOST_BYTES,
    log: options.log,
    fetch: (request) => app.fetch(request),
  });
}

/** Whatever an operator may have changed leaves a line: what was called and how it was answered. */
function auditChanges({ audit }: AdminOptions): MiddlewareHandler {
  return async (context, next) => {
    await next();
    const { method } = context.req;
    if (method === "GET" || method === "HEAD") return;
    const path = rawPath(context.req.url).slice(0, PATH_CHARACTERS_MAX);
    const by = context.req.header("authorization") === undefined ? "browser" : "token";
    audit.append("operator", { method, path, status: context.res.status, by });
  };
}

function addLogin(app: Hono, options: AdminOptions): void {
  const read = createTextReader();
  const limit = createLoginLimit(options.now);
  app.get("/login", (context) => context.html(loginPage(null)));
  app.post("/login", async (context) => {
    const type = context.req.header("content-type") ?? "";
    if (!/^application\/x-www-form-urlencoded\s*(?:;|$)/i.test(type)) {
      return context.json({ error: "Content-Type: must be a form" }, 400);
    }
    const body = await read(context.req.raw);
    if (!body.ok) {
      return context.json({ error: body.error }, 400);
    }
    const seconds = limit.wait();
    if (seconds !== null) {
      context.header("retry-after", String(seconds));
      return refuseLogin(context, 429, `Too many wrong tokens. Try again in ${seconds} seconds.`);
    }
    const given = (new URLSearchParams(body.text).get("token") ?? "").trim();
    const token = options.token();
    if (token === "" || !secretEquals(given, token)) {
      limit.failed();
      options.audit.append("login_refused", {});
      options.log.warn("login refused");
      return refuseLogin(context, 401, "That is not the admin token.");
    }
    options.audit.append("login", {});
    setCookie(context, SESSION_COOKIE, makeSession(token, options.now()), {
      httpOnly: true,
      sameSite: "Strict",
      path: "/",
      maxAge: SESSION_SECONDS,
    });
    return context.redirect("/", 303);
  });
}

function refuseLogin(
  context: Context,
  status: 401 | 429,
  problem: string,
): Response | Promise<Response> {
  return (context.req.header("accept") ?? "").includes("text/html")
    ? context.html(loginPage(problem), status)
    : context.json({ error: problem }, status);
}

function addPages(app: Hono, options: AdminOptions): void {
  const { store } = options;
  app.get("/", async (context) => {
    const [status, items, runs] = await Promise.all([
      readStatus(options),
      store.work.items(ROWS_OF_A_PAGE, null),
      store.runs.list(ROWS_OF_A_PAGE, null),
    ]);
    const rows = items.rows.map((row) => heldRow(row, options.gates));
    return context.html(dashboardPage({ status, items: rows, runs: runs.rows }));
  });
  app.get("/readyz", (context) => {
    const { ready, sweep } = options.readiness();
    return ready ? context.json({ sweep }) : context.json({ sweep }, 503, { "retry-after": "10" });
  });
  app.get("/metrics", async (context) =>
    context.body(await options.metricsText(), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    }),
  );
}
