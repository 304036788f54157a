import { Hono } from "hono";
import { z } from "zod";
import { addAccount, addToken } from "./accounts.ts";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  page,
  Refusal,
  readBody,
  signedIn,
  signedInAdmin,
} from "./answers.ts";
import type { Forge } from "./forge.ts";
import { type Payload, userPayload } from "./payloads.ts";
import { type Account, findAccount, type Token } from "./state.ts";

const NewUser = z.object({
  username: z.string(),
  email: z.string(),
  password: z.string().optional(),
  full_name: z.string().optional(),
});
const NewToken = z.object({ name: z.string().min(1), scopes: z.array(z.string()).default([]) });
const NewOrganization = z.object({ username: z.string(), full_name: z.string().optional() });

/** @returns the routes of users, tokens and organizations. */
export function userRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.get("/user", (c) => {
    const account = signedIn(c);
    return c.json(userPayload(forge, account, account));
  });
  app.get("/users/:username", (c) =>
    c.json(userPayload(forge, accountOf(forge, c, "username"), c.get("account"))),
  );
  app.post("/admin/users", async (c) => {
    const admin = signedInAdmin(c);
    const body = await readBody(c, NewUser);
    const account = addAccount(forge, {
      login: body.username,
      email: body.email,
      ...(body.password === undefined ? {} : { password: body.password }),
      ...(body.full_name === undefined ? {} : { fullName: body.full_name }),
    });
    return c.json(userPayload(forge, account, admin), 201);
  });
  app.delete("/admin/users/:username", (c) => {
    signedInAdmin(c);
    removeAccount(forge, accountOf(forge, c, "username"));
    return c.body(null, 204);
  });
  app.post("/users/:username/tokens", async (c) => {
    const account = tokenOwner(forge, c);
    const body = await readBody(c, NewToken);
    return c.json(tokenPayload(addToken(forge, account, body.name, body.scopes), true), 201);
  });
  app.get("/users/:username/tokens", (c) => {
    const tokens = page(forge, c, tokenOwner(forge, c).tokens);
    return c.json(tokens.map((token) => tokenPayload(token, false)));
  });
  app.delete("/users/:username/tokens/:token", (c) => {
    const account = tokenOwner(forge, c);
    const wanted = c.req.param("token");
    const kept = account.tokens.filter(
      (token) => token.name !== wanted && String(token.id) !== wanted,
    );
    if (kept.length === account.tokens.length) throw notFound();
    account.tokens = kept;
    return c.body(null, 204);
  });
  app.post("/orgs", async (c) => {
    const account = signedIn(c);
    const body = await readBody(c, NewOrganization);
    const organization = addAccount(forge, {
      login: body.username,
      kind: "organization",
      owners: [account.id],
      ...(body.full_name === undefined ? {} : { fullName: body.full_name }),
    });
    return c.json(organizationPayload(forge, organization), 201);
  });
  app.get("/orgs/:org", (c) => c.json(organizationPayload(forge, organizationOf(forge, c, false))));
  app.delete("/orgs/:org", (c) => {
    removeAccount(forge, organizationOf(forge, c, true));
    return c.body(null, 204);
  });
  return app;
}

/** @returns the account a path parameter names. @throws Refusal 404. */
export function accountOf(forge: Forge, c: ForgeContext, param: string): Account {
  const name = c.req.param(param) ?? "";
  const account = findAccount(forge.state, name);
  if (account === undefined) throw notFound(`user does not exist [uid: 0, name: ${name}]`);
  return account;
}

/** @returns the organization of `:org`. @throws Refusal 404, 403 when it must be owned and is not. */
export function organizationOf(forge: Forge, c: ForgeContext, mustOwn: boolean): Account {
  const organization = accountOf(forge, c, "org");
  if (organization.kind !== "organization") throw notFound();
  if (!mustOwn) return organization;
  const account = signedIn(c);
  if (!account.isAdmin && !organization.owners.has(account.id))
    throw new Refusal(403, "Must be an organization owner");
  return organization;
}

function tokenOwner(forge: Forge, c: ForgeContext): Account {
  const caller = signedIn(c);
  if (!c.get("usedPassword")) throw new Refusal(401, "auth method not allowed");
  const account = accountOf(forge, c, "username");
  if (account.id !== caller.id && !caller.isAdmin)
    throw new Refusal(403, "doer should be the site admin or be same as the contextUser");
  return account;
}

function removeAccount(forge: Forge, account: Account): void {
  if (forge.state.repos.some((repo) => repo.owner.id === account.id))
    throw new Refusal(422, `user still has ownership of repositories [uid: ${account.id}]`);
  forge.state.accounts = forge.state.accounts.filter((one) => one.id !== account.id);
  for (const repo of forge.state.repos) repo.collaborators.delete(account.id);
}

function tokenPayload(token: Token, withValue: boolean): Payload {
  return {
    id: token.id,
    name: token.name,
    sha1: withValue ? token.value : "",
    token_last_eight: token.value.slice(-8),
    scopes: token.scopes,
  };
}

function organizationPayload(forge: Forge, account: Account): Payload {
  return {
    id: account.id,
    name: account.login,
    full_name: account.fullName,
    email: "",
    avatar_url: userPayload(forge, account)["avatar_url"],
    description: "",
    website: "",
    location: "",
    visibility: "public",
    repo_admin_change_team_access: false,
    username: account.login,
  };
}
