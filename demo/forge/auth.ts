import { createMiddleware } from "hono/factory";
import { type ForgeEnv, Refusal } from "./answers.ts";
import type { Forge } from "./forge.ts";
import { type Account, findAccount } from "./state.ts";

/** How a call proved who it is; an account is undefined for an anonymous call. */
export type Identified = { account: Account | undefined; usedPassword: boolean };

/**
 * Leaves the caller for the routes. `Authorization: token X`, `Bearer X` and Basic are read; in
 * Basic a token is taken as the password of any user or as the user name (Forgejo:
 * services/auth/method). A wrong credential is refused with 401, none is an anonymous call.
 */
export function authenticate(forge: Forge) {
  return createMiddleware<ForgeEnv>(async (c, next) => {
    const identified = identify(forge, c.req.header("Authorization"));
    if (identified === undefined) throw new Refusal(401, "invalid username, password or token");
    if (identified.account !== undefined) identified.account.lastLoginAt = forge.now();
    c.set("account", identified.account);
    c.set("usedPassword", identified.usedPassword);
    await next();
  });
}

/** @returns who sent the header, or undefined when its credential is wrong. */
export function identify(forge: Forge, header: string | undefined): Identified | undefined {
  if (header === undefined || header === "") return { account: undefined, usedPassword: false };
  const [scheme = "", value = ""] = header.split(/\s+/, 2);
  switch (scheme.toLowerCase()) {
    case "token":
    case "bearer":
      return found(byToken(forge, value));
    case "basic":
      return identifyBasic(forge, Buffer.from(value, "base64").toString("utf8"));
    default:
      return undefined;
  }
}

function identifyBasic(forge: Forge, text: string): Identified | undefined {
  const colon = text.indexOf(":");
  if (colon < 0) return undefined;
  const user = text.slice(0, colon);
  const password = text.slice(colon + 1);
  const isAlone = password === "" || password === "x-oauth-basic";
  const account = byToken(forge, isAlone ? user : password);
  if (account !== undefined) return found(account);
  const named = findAccount(forge.state, user);
  return named?.password !== undefined && named.password === password
    ? { account: named, usedPassword: true }
    : undefined;
}

function byToken(forge: Forge, value: string): Account | undefined {
  if (value === "") return undefined;
  return forge.state.accounts.find((account) =>
    account.tokens.some((token) => token.value === value),
  );
}

function found(account: Account | undefined): Identified | undefined {
  return account === undefined ? undefined : { account, usedPassword: false };
}
