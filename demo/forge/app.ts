import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { createMiddleware } from "hono/factory";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { type ForgeEnv, Refusal } from "./answers.ts";
import { authenticate } from "./auth.ts";
import { branchRoutes } from "./branches.ts";
import { commentRoutes } from "./comments.ts";
import { contentRoutes } from "./contents.ts";
import type { Forge } from "./forge.ts";
import { gitHttpRoutes } from "./git-http.ts";
import { hookRoutes } from "./hooks.ts";
import { issueRoutes } from "./issues.ts";
import { labelRoutes } from "./labels.ts";
import { mergeRoutes } from "./merge.ts";
import { pullContentRoutes } from "./pull-contents.ts";
import { pullRoutes } from "./pulls.ts";
import { reactionRoutes } from "./reactions.ts";
import { repoRoutes } from "./repos.ts";
import { reviewRequestRoutes } from "./review-requests.ts";
import { reviewRoutes } from "./reviews.ts";
import { searchRoutes } from "./search.ts";
import { serverInfoRoutes } from "./server-info.ts";
import { LIMITS } from "./state.ts";
import { statusRoutes } from "./statuses.ts";
import { userRoutes } from "./users.ts";

/** @returns the whole server: REST below /api/v1, git over HTTP beside it. */
export function createApp(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.use(applyFaults(forge));
  app.use("/api/v1/*", bodyLimit({ maxSize: LIMITS.bodyBytes }), authenticate(forge));
  const routes = [
    serverInfoRoutes,
    userRoutes,
    searchRoutes,
    repoRoutes,
    issueRoutes,
    commentRoutes,
    reactionRoutes,
    labelRoutes,
    pullContentRoutes,
    reviewRequestRoutes,
    reviewRoutes,
    mergeRoutes,
    pullRoutes,
    statusRoutes,
    branchRoutes,
    hookRoutes,
    contentRoutes,
  ];
  for (const route of routes) app.route("/api/v1", route(forge));
  app.route("/", gitHttpRoutes(forge));
  const url = (): string => `${forge.url()}/api/swagger`;
  app.notFound((c) =>
    c.json({ message: "The target couldn't be found.", url: url(), errors: [] }, 404),
  );
  app.onError((error, c) => {
    if (error instanceof Refusal)
      return c.json(error.body ?? { message: error.message, url: url() }, error.status);
    console.error(error);
    return c.json({ message: "", url: url() }, 500);
  });
  return app;
}

/** Lets a fault of a test answer instead of, or after, the route. */
function applyFaults(forge: Forge) {
  return createMiddleware<ForgeEnv>(async (c, next) => {
    const url = new URL(c.req.url);
    const fault = forge.faults.takeRoute(c.req.method, `${url.pathname}${url.search}`);
    if (fault?.delayMs !== undefined) await Bun.sleep(fault.delayMs);
    if (fault?.status === undefined) return next();
    if (fault.afterEffect === true) await next();
    const body = { message: fault.message ?? "", url: `${forge.url()}/api/swagger` };
    const status = fault.status as ContentfulStatusCode;
    c.res = c.json(body, status, fault.headers ?? {});
    return undefined;
  });
}
