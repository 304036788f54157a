import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  page,
  Refusal,
  readBody,
  repoOf,
  room,
  signedIn,
  signedInAdmin,
} from "./answers.ts";
import { createBareRepository, removeBareRepository } from "./bare-repository.ts";
import type { Forge } from "./forge.ts";
import { repoPayload, userPayload } from "./payloads.ts";
import { type Account, accessOf, canWrite, findRepo, LIMITS, nextId, type Repo } from "./state.ts";
import { accountOf, organizationOf } from "./users.ts";

const NewRepo = z.object({
  name: z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/),
  description: z.string().default(""),
  private: z.boolean().default(false),
  auto_init: z.boolean().default(false),
  default_branch: z.string().default("main"),
});
const NewCollaborator = z.object({
  permission: z.enum(["read", "write", "admin"]).default("write"),
});

/** @returns the routes of repositories and their collaborators. */
export function repoRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.post("/user/repos", (c) => answerCreate(forge, c, signedIn(c)));
  app.post("/admin/users/:username/repos", (c) => {
    signedInAdmin(c);
    return answerCreate(forge, c, accountOf(forge, c, "username"));
  });
  app.post("/orgs/:org/repos", (c) => answerCreate(forge, c, organizationOf(forge, c, true)));
  app.get("/repos/:owner/:repo", (c) =>
    c.json(repoPayload(forge, repoOf(forge, c), c.get("account"))),
  );
  app.delete("/repos/:owner/:repo", async (c) => {
    const repo = repoOf(forge, c, "admin");
    forge.state.repos = forge.state.repos.filter((one) => one.id !== repo.id);
    await removeBareRepository(repo);
    return c.body(null, 204);
  });
  addCollaboratorRoutes(forge, app);
  return app;
}

function addCollaboratorRoutes(forge: Forge, app: Hono<ForgeEnv>): void {
  const base = "/repos/:owner/:repo/collaborators";
  app.get(base, (c) => {
    const repo = repoOf(forge, c);
    const accounts = forge.state.accounts.filter((one) => repo.collaborators.has(one.id));
    return c.json(page(forge, c, accounts).map((one) => userPayload(forge, one, c.get("account"))));
  });
  app.put(`${base}/:username`, async (c) => {
    const repo = repoOf(forge, c, "admin");
    const account = accountOf(forge, c, "username");
    const body = await readBody(c, NewCollaborator);
    repo.collaborators.set(account.id, body.permission);
    return c.body(null, 204);
  });
  app.delete(`${base}/:username`, (c) => {
    const repo = repoOf(forge, c, "admin");
    repo.collaborators.delete(accountOf(forge, c, "username").id);
    return c.body(null, 204);
  });
  app.get(`${base}/:username/permission`, (c) => {
    const repo = repoOf(forge, c);
    const account = accountOf(forge, c, "username");
    const caller = signedIn(c);
    if (caller.id !== account.id && accessOf(repo, caller) !== "admin")
      throw new Refusal(403, "Only admins can query all permissions, repo admins can query all");
    const permission = account.id === repo.owner.id ? "owner" : (accessOf(repo, account) ?? "none");
    const user = userPayload(forge, account, caller);
    return c.json({ permission, role_name: permission, user });
  });
  app.get("/repos/:owner/:repo/assignees", (c) => {
    const repo = repoOf(forge, c);
    const accounts = forge.state.accounts.filter((one) => isAssignable(repo, one));
    return c.json(accounts.map((one) => userPayload(forge, one, c.get("account"))));
  });
}

/** Site administrators are not listed unless they have write access of their own. */
function isAssignable(repo: Repo, account: Account): boolean {
  return account.kind === "user" && canWrite(repo, { ...account, isAdmin: false });
}

async function answerCreate(forge: Forge, c: ForgeContext, owner: Account): Promise<Response> {
  const body = await readBody(c, NewRepo);
  if (findRepo(forge.state, owner.login, body.name) !== undefined)
    throw new Refusal(409, "The repository with the same name already exists.");
  room(forge.state.repos.length, LIMITS.repos, "repositories");
  const id = nextId(forge.state);
  const repo: Repo = {
    id,
    owner,
    name: body.name,
    description: body.description,
    isPrivate: body.private,
    defaultBranch: body.default_branch,
    path: "",
    collaborators: new Map(),
    issues: new Map(),
    lastNumber: 0,
    labels: [],
    hooks: forge.state.defaultHooks.map((hook) => ({ ...hook, id: nextId(forge.state) })),
    statuses: [],
    protections: [],
    refs: new Map(),
    createdAt: forge.now(),
    updatedAt: forge.now(),
  };
  const caller = c.get("account") ?? owner;
  await createBareRepository(forge, repo, { id, autoInit: body.auto_init, creator: caller });
  if (findRepo(forge.state, owner.login, body.name) !== undefined) {
    await removeBareRepository(repo);
    throw new Refusal(409, "The repository with the same name already exists.");
  }
  forge.state.repos.push(repo);
  return c.json(repoPayload(forge, repo, caller), 201);
}
