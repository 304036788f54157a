import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  numberParam,
  page,
  Refusal,
  readBody,
  repoOf,
  room,
  signedIn,
  signedInAdmin,
} from "./answers.ts";
import { emitPush } from "./events.ts";
import type { Forge } from "./forge.ts";
import { eventTypesOf } from "./hook-events.ts";
import { type Payload, time } from "./payloads.ts";
import { branchSha, type Hook, LIMITS, nextId, type Repo } from "./state.ts";
import { organizationOf } from "./users.ts";

const HookForm = z.object({
  type: z.string().default(""),
  config: z.record(z.string(), z.string()).nullish(),
  events: z.array(z.string()).nullish(),
  branch_filter: z.string().default(""),
  authorization_header: z.string().default(""),
  active: z.boolean().default(false),
});
type HookForm = z.infer<typeof HookForm>;

/** @returns the routes of web hooks: of a repository, of an owner and of the server. */
export function hookRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/hooks";
  app.get(base, (c) => {
    const repo = repoOf(forge, c, "admin");
    return c.json(page(forge, c, repo.hooks).map(hookPayload));
  });
  app.post(base, async (c) => {
    const repo = repoOf(forge, c, "admin");
    room(repo.hooks.length, LIMITS.hooks, "hooks");
    const hook = newHook(forge, await readBody(c, HookForm));
    repo.hooks.push(hook);
    return c.json(hookPayload(hook), 201);
  });
  app.get(`${base}/:id{[0-9]+}`, (c) => c.json(hookPayload(hookOf(repoOf(forge, c, "admin"), c))));
  app.patch(`${base}/:id{[0-9]+}`, async (c) => {
    const hook = hookOf(repoOf(forge, c, "admin"), c);
    editHook(forge, hook, await readBody(c, HookForm));
    return c.json(hookPayload(hook));
  });
  app.delete(`${base}/:id{[0-9]+}`, (c) => {
    const repo = repoOf(forge, c, "admin");
    const hook = hookOf(repo, c);
    repo.hooks = repo.hooks.filter((one) => one !== hook);
    return c.body(null, 204);
  });
  app.post(`${base}/:id{[0-9]+}/tests`, (c) => {
    const repo = repoOf(forge, c, "admin");
    const hook = hookOf(repo, c);
    const sha = branchSha(repo, repo.defaultBranch) ?? "0".repeat(40);
    const tested = { ...repo, hooks: [{ ...hook, active: true, events: ["push"] }] };
    const ref = `refs/heads/${repo.defaultBranch}`;
    emitPush(forge, tested, { ref, before: sha, after: sha, commits: [], sender: signedIn(c) });
    return c.body(null, 204);
  });
  addWiderHookRoutes(forge, app);
  return app;
}

/** Hooks for many repositories at once; on a real server they come in addition to its own. */
function addWiderHookRoutes(forge: Forge, app: Hono<ForgeEnv>): void {
  const places: [string, (c: ForgeContext, form: HookForm) => Hook[]][] = [
    ["/user/hooks", (c) => signedIn(c).hooks],
    ["/orgs/:org/hooks", (c) => organizationOf(forge, c, true).hooks],
    [
      "/admin/hooks",
      (c, form) => {
        signedInAdmin(c);
        const isSystem = form.config?.["is_system_webhook"] === "true";
        return isSystem ? forge.state.systemHooks : forge.state.defaultHooks;
      },
    ],
  ];
  app.delete("/user/hooks/:id{[0-9]+}", (c) => {
    const account = signedIn(c);
    account.hooks = account.hooks.filter((one) => one.id !== numberParam(c, "id"));
    return c.body(null, 204);
  });
  app.get("/orgs/:org/hooks", (c) =>
    c.json(page(forge, c, organizationOf(forge, c, true).hooks).map(hookPayload)),
  );
  for (const [path, hooksOf] of places)
    app.post(path, async (c) => {
      signedIn(c);
      const form = await readBody(c, HookForm);
      const hooks = hooksOf(c, form);
      room(hooks.length, LIMITS.hooks, "hooks");
      const hook = newHook(forge, form);
      hooks.push(hook);
      return c.json(hookPayload(hook), 201);
    });
}

function newHook(forge: Forge, form: HookForm): Hook {
  if (form.type !== "forgejo" && form.type !== "gitea" && form.type !== "gogs")
    throw new Refusal(422, `Invalid hook type: ${form.type}`);
  const url = form.config?.["url"];
  const contentType = form.config?.["content_type"];
  if (url === undefined) throw new Refusal(422, "Missing config option: url");
  if (contentType === undefined) throw new Refusal(422, "Missing config option: content_type");
  if (!/^https?:\/\/[^\s]+$/.test(url)) throw new Refusal(422, "Invalid url");
  if (contentType !== "json" && contentType !== "form")
    throw new Refusal(422, "Invalid content type");
  return {
    id: nextId(forge.state),
    type: form.type,
    url,
    contentType,
    secret: form.config?.["secret"] ?? "",
    events: eventTypesOf(form.events ?? []),
    branchFilter: form.branch_filter,
    authorizationHeader: form.authorization_header,
    active: form.active,
    createdAt: forge.now(),
    updatedAt: forge.now(),
  };
}

/** What is left out is reset; the secret cannot be changed (Forgejo: updateHook). */
function editHook(forge: Forge, hook: Hook, form: HookForm): void {
  const contentType = form.config?.["content_type"];
  if (contentType !== undefined && contentType !== "json" && contentType !== "form")
    throw new Refusal(422, "Invalid content type");
  hook.url = form.config?.["url"] ?? hook.url;
  hook.contentType = contentType ?? hook.contentType;
  hook.events = eventTypesOf(form.events ?? []);
  hook.branchFilter = form.branch_filter;
  hook.authorizationHeader = form.authorization_header;
  hook.active = form.active;
  hook.updatedAt = forge.now();
}

function hookOf(repo: Repo, c: ForgeContext): Hook {
  const hook = repo.hooks.find((one) => one.id === numberParam(c, "id"));
  if (hook === undefined) throw notFound();
  return hook;
}

/** The secret is never shown. */
function hookPayload(hook: Hook): Payload {
  return {
    id: hook.id,
    type: hook.type,
    branch_filter: hook.branchFilter,
    config: { content_type: hook.contentType, url: hook.url },
    url: hook.url,
    content_type: hook.contentType === "json" ? 1 : 2,
    events: hook.events,
    metadata: null,
    authorization_header: hook.authorizationHeader,
    active: hook.active,
    updated_at: time(hook.updatedAt),
    created_at: time(hook.createdAt),
  };
}
