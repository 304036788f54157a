import { Hono } from "hono";
import { type ForgeEnv, repoOf } from "./answers.ts";
import type { Forge } from "./forge.ts";
import { LIMITS } from "./state.ts";

/** What the embedded forge says it is; clients tell Forgejo from Gitea by the `+gitea-` part. */
const VERSION = "14.0.3+gitea-1.22.0";

/** @returns the routes about the server, and the Actions lists, which are always empty here. */
export function serverInfoRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.get("/version", (c) => c.json({ version: VERSION }));
  app.get("/settings/api", (c) =>
    c.json({
      max_response_items: LIMITS.pageSize,
      default_paging_num: LIMITS.defaultPageSize,
      default_git_trees_per_page: 1000,
      default_max_blob_size: 10_485_760,
    }),
  );
  for (const list of ["runs", "tasks"])
    app.get(`/repos/:owner/:repo/actions/${list}`, (c) => {
      repoOf(forge, c);
      return c.json({ workflow_runs: [], total_count: 0 });
    });
  return app;
}
