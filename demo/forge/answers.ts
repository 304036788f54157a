import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import type { Forge } from "./forge.ts";
import {
  type Account,
  accessOf,
  findRepo,
  type Issue,
  isPull,
  LIMITS,
  type Permission,
  type PullIssue,
  type Repo,
} from "./state.ts";

/** What the authentication leaves for the routes. */
export type ForgeEnv = { Variables: { account: Account | undefined; usedPassword: boolean } };
export type ForgeContext = Context<ForgeEnv>;

/** A refusal: becomes `{"message","url"}` with this status. */
export class Refusal extends Error {
  readonly status: ContentfulStatusCode;
  readonly body: Record<string, unknown> | undefined;

  constructor(
    status: ContentfulStatusCode,
    message: string,
    { body }: { body?: Record<string, unknown> } = {},
  ) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.body = body;
  }
}

/** @returns the 404 Forgejo gives for what is missing and for what may not be seen. */
export function notFound(message = "The target couldn't be found."): Refusal {
  return new Refusal(404, message);
}

/** @returns who calls. @throws Refusal 401 for an anonymous call. */
export function signedIn(c: ForgeContext): Account {
  const account = c.get("account");
  if (account === undefined) throw new Refusal(401, "token is required");
  return account;
}

/** @returns who calls. @throws Refusal 401 or 403 unless it is a site administrator. */
export function signedInAdmin(c: ForgeContext): Account {
  const account = signedIn(c);
  if (!account.isAdmin) throw new Refusal(403, "user should be the site admin");
  return account;
}

const RANK: Record<Permission, number> = { read: 1, write: 2, admin: 3 };

/**
 * @returns the repository of `:owner/:repo`.
 * @throws Refusal 404 when it is not readable for the caller, 401/403 when more than reading is
 * needed and missing.
 */
export function repoOf(forge: Forge, c: ForgeContext, needed: Permission = "read"): Repo {
  const repo = findRepo(forge.state, c.req.param("owner") ?? "", c.req.param("repo") ?? "");
  const access = repo === undefined ? undefined : accessOf(repo, c.get("account"));
  if (repo === undefined || access === undefined) throw notFound();
  if (RANK[access] < RANK[needed]) {
    signedIn(c);
    throw new Refusal(403, `user should have a permission to ${needed} to this repo`);
  }
  return repo;
}

/** @returns the issue or pull request of `:index`. @throws Refusal 404. */
export function issueOf(repo: Repo, c: ForgeContext): Issue {
  const issue = repo.issues.get(numberParam(c, "index"));
  if (issue === undefined) throw notFound(`issue does not exist [repo_id: ${repo.id}]`);
  return issue;
}

/** @returns the pull request of `:index`. @throws Refusal 404, also for a plain issue. */
export function pullOf(repo: Repo, c: ForgeContext): PullIssue {
  const issue = repo.issues.get(numberParam(c, "index"));
  if (issue === undefined || !isPull(issue))
    throw notFound(`pull request does not exist [base_repo_id: ${repo.id}]`);
  return issue;
}

/** @returns a path parameter as a number; what is no number finds nothing (0). */
export function numberParam(c: ForgeContext, name: string): number {
  const text = c.req.param(name) ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/**
 * @returns the body by its schema; no body counts as `{}`.
 * @throws Refusal 422 for what is not JSON or not of the schema (Forgejo: modules/web binding).
 */
export async function readBody<T>(c: ForgeContext, schema: z.ZodType<T>): Promise<T> {
  const text = await c.req.text();
  const parsed = schema.safeParse(text === "" ? {} : parseText(text));
  if (!parsed.success) throw new Refusal(422, z.prettifyError(parsed.error));
  return parsed.data;
}

/** @returns one page of a list, with X-Total-Count and (unless told otherwise) Link set. */
export function page<T>(
  forge: Forge,
  c: ForgeContext,
  items: readonly T[],
  { link = true, defaultLimit = LIMITS.defaultPageSize as number } = {},
): T[] {
  const limit = pageLimit(c, defaultLimit);
  const number = pageNumber(c);
  c.header("X-Total-Count", String(items.length));
  c.header("Access-Control-Expose-Headers", "X-Total-Count, Link");
  if (link) {
    const value = linkHeader(forge, c, number, Math.ceil(items.length / limit));
    if (value !== "") c.header("Link", value);
  }
  return items.slice((number - 1) * limit, number * limit);
}

/** @returns the page size asked for: 1..50, 30 when none is given. */
export function pageLimit(c: ForgeContext, defaultLimit: number = LIMITS.defaultPageSize): number {
  const asked = Number(c.req.query("limit") ?? defaultLimit);
  if (!Number.isInteger(asked) || asked <= 0) return defaultLimit;
  return Math.min(asked, LIMITS.pageSize);
}

/** @returns the page asked for, from 1. */
export function pageNumber(c: ForgeContext): number {
  const asked = Number(c.req.query("page") ?? 1);
  return Number.isInteger(asked) && asked > 0 ? asked : 1;
}

/** @returns a time of the query in seconds, or undefined. @throws Refusal 422 for a bad one. */
export function timeQuery(c: ForgeContext, name: string): number | undefined {
  const text = c.req.query(name);
  if (text === undefined || text === "") return undefined;
  const ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new Refusal(422, `parsing time "${text}" as RFC 3339`);
  return Math.floor(ms / 1000);
}

/** Refuses to let a list grow past its bound. @throws Refusal 413. */
export function room(count: number, max: number, what: string): void {
  if (count >= max) throw new Refusal(413, `the embedded forge holds at most ${max} ${what}`);
}

/** What is not JSON stays a text, which no schema of a body accepts. */
function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function linkHeader(forge: Forge, c: ForgeContext, number: number, last: number): string {
  const at = (target: number): string => {
    const url = new URL(c.req.url);
    const query = new URLSearchParams(url.search);
    query.set("page", String(target));
    return `<${forge.url()}${url.pathname}?${query}>`;
  };
  const links: string[] = [];
  if (number < last) links.push(`${at(number + 1)}; rel="next"`, `${at(last)}; rel="last"`);
  if (number > 1 && last > 1) links.push(`${at(1)}; rel="first"`, `${at(number - 1)}; rel="prev"`);
  return links.join(",");
}
