import type { MiddlewareHandler } from "hono";
import { getCookie } from "hono/cookie";
import { rawPath } from "../intake/raw-path.ts";
import { secretEquals } from "./secret-equals.ts";
import type { ListenAddress } from "./serve.ts";
import { isSession, SESSION_COOKIE } from "./session-cookie.ts";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** Under which names the listener may be called, and with which token. */
export interface AdminAccess {
  readonly listen: ListenAddress;
  /** Further Host names behind a proxy; one with a port counts at that port only. */
  readonly hosts: readonly string[];
  /** The admin token, trimmed; an empty one lets nobody in. */
  readonly token: () => string;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/**
 * Refuses what a web page could make a browser send: a Host that is not ours (DNS rebinding) and
 * a request that comes from another origin. Same-site is not enough: `localhost:3000` is the same
 * site as `localhost:8081` for a browser. Only following a link with GET may come from elsewhere.
 */
export function checkOrigin(access: AdminAccess): MiddlewareHandler {
  const names = new Set([...LOOPBACK, ...access.hosts, ...listenName(access.listen)].map(lower));
  return async (context, next) => {
    const host = lower(context.req.header("host") ?? "");
    if (!names.has(host) && !names.has(host.replace(/:\d{1,5}$/, ""))) {
      return context.json({ error: "Host: not one of ours; add it to admin.hosts" }, 403);
    }
    const origin = context.req.header("origin");
    if (origin !== undefined && !isOriginOf(origin, host)) {
      return context.json({ error: "Origin: another one may not call" }, 403);
    }
    const site = context.req.header("sec-fetch-site");
    // A frame or an <object> of another page is loaded with the same mode.
    const isLink =
      context.req.method === "GET" &&
      context.req.header("sec-fetch-mode") === "navigate" &&
      (context.req.header("sec-fetch-dest") ?? "document") === "document";
    if (site !== undefined && site !== "same-origin" && site !== "none" && !isLink) {
      return context.json({ error: "Sec-Fetch-Site: another site may not call" }, 403);
    }
    return await next();
  };
}

/**
 * Lets in a bearer of the admin token or a logged-in browser. With the cookie alone a change must
 * say its origin (checked by `checkOrigin`), as every browser does.
 */
export function checkToken(access: AdminAccess): MiddlewareHandler {
  return async (context, next) => {
    const token = access.token();
    const bearer = /^Bearer +(.+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
    if (bearer !== undefined) {
      return token !== "" && secretEquals(bearer, token) ? await next() : unauthorized();
    }
    const cookie = getCookie(context, SESSION_COOKIE);
    if (cookie === undefined || !isSession(cookie, token, access.now())) {
      const isBrowser = (context.req.header("accept") ?? "").includes("text/html");
      const atPage = context.req.method === "GET" && rawPath(context.req.url) === "/";
      return isBrowser && atPage ? context.redirect("/login", 303) : unauthorized();
    }
    const changes = context.req.method !== "GET" && context.req.method !== "HEAD";
    if (changes && context.req.header("origin") === undefined) {
      return context.json({ error: "Origin: missing" }, 403);
    }
    return await next();
  };
}

function unauthorized(): Response {
  return Response.json(
    { error: "needs Authorization: Bearer with the admin token" },
    { status: 401, headers: { "www-authenticate": "Bearer" } },
  );
}

function isOriginOf(origin: string, host: string): boolean {
  return /^https?:\/\//.test(origin) && URL.canParse(origin) && new URL(origin).host === host;
}

/** The address we listen on is a name of ours, too, unless it stands for all addresses. */
function listenName({ host }: ListenAddress): string[] {
  if (host === "0.0.0.0" || host === "::") {
    return [];
  }
  return [host.includes(":") ? `[${host}]` : host];
}

function lower(text: string): string {
  return text.toLowerCase();
}
