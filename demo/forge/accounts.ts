import { Refusal, room } from "./answers.ts";
import type { Forge } from "./forge.ts";
import { type Account, findAccount, LIMITS, nextId, type Token } from "./state.ts";

/** An account to be made. */
export type NewAccount = {
  login: string;
  kind?: Account["kind"];
  isAdmin?: boolean;
  password?: string;
  email?: string;
  fullName?: string;
  owners?: number[];
};

/** Adds a user or organization. @throws Refusal 422 for a bad or taken name. */
export function addAccount(forge: Forge, wanted: NewAccount): Account {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$/.test(wanted.login))
    throw new Refusal(422, `name is invalid [${wanted.login}]`);
  if (findAccount(forge.state, wanted.login) !== undefined)
    throw new Refusal(422, `user already exists [name: ${wanted.login}]`);
  room(forge.state.accounts.length, LIMITS.accounts, "accounts");
  const account: Account = {
    id: nextId(forge.state),
    login: wanted.login,
    fullName: wanted.fullName ?? "",
    email: wanted.email ?? `${wanted.login}@example.org`,
    isAdmin: wanted.isAdmin ?? false,
    kind: wanted.kind ?? "user",
    owners: new Set(wanted.owners ?? []),
    password: wanted.password,
    tokens: [],
    hooks: [],
    createdAt: forge.now(),
    lastLoginAt: undefined,
  };
  forge.state.accounts.push(account);
  return account;
}

/** Adds a token of 40 hex digits. @throws Refusal 400 when the name is taken. */
export function addToken(forge: Forge, account: Account, name: string, scopes: string[]): Token {
  if (account.tokens.some((token) => token.name === name))
    throw new Refusal(400, "access token name has been used already");
  const value = `${forge.newId()}${forge.newId()}`.replaceAll("-", "").slice(0, 40);
  const token: Token = { id: nextId(forge.state), name, value, scopes };
  account.tokens.push(token);
  return token;
}
