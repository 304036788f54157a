import { Hono } from "hono";
import { type ForgeContext, type ForgeEnv, page, Refusal, timeQuery } from "./answers.ts";
import type { Forge } from "./forge.ts";
import { issuePayload } from "./payloads.ts";
import { type Account, accessOf, findAccount, type Issue, isPull } from "./state.ts";

/** Forgejo: `[ui] ISSUE_PAGING_NUM`, since the web page uses this call, too. */
const SEARCH_PAGE = 20;

/** @returns the search over all repositories the caller may read. */
export function searchRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.get("/repos/issues/search", (c) => {
    const account = c.get("account");
    const owner = c.req.query("owner");
    if (owner && findAccount(forge.state, owner) === undefined)
      throw new Refusal(400, `user does not exist [uid: 0, name: ${owner}]`);
    const repos = forge.state.repos.filter(
      (repo) =>
        accessOf(repo, account) !== undefined &&
        (!owner || repo.owner.login.toLowerCase() === owner.toLowerCase()),
    );
    const all = repos.flatMap((repo) => [...repo.issues.values()]);
    const found = page(forge, c, selectIssues(c, all, account), { defaultLimit: SEARCH_PAGE });
    return c.json(found.map((issue) => issuePayload(forge, issue, account)));
  });
  return app;
}

/**
 * @returns the issues and pull requests a query asks for, newest first. `since` and `before` are
 * about updated_at, inclusive; the flags about the caller count only for a signed-in one.
 */
export function selectIssues(
  c: ForgeContext,
  issues: Issue[],
  account: Account | undefined,
): Issue[] {
  const since = timeQuery(c, "since");
  const before = timeQuery(c, "before");
  const state = c.req.query("state") ?? "open";
  const type = c.req.query("type");
  const text = (c.req.query("q") ?? "").trim().toLowerCase();
  const labels = (c.req.query("labels") ?? "").split(",").filter((name) => name !== "");
  return issues
    .filter((issue) => state === "all" || issue.isClosed === (state === "closed"))
    .filter((issue) => type === undefined || isPull(issue) === (type === "pulls"))
    .filter((issue) => since === undefined || issue.updatedAt >= since)
    .filter((issue) => before === undefined || issue.updatedAt <= before)
    .filter((issue) => text === "" || `${issue.title}\n${issue.body}`.toLowerCase().includes(text))
    .filter(
      (issue) => labels.length === 0 || issue.labels.some((label) => labels.includes(label.name)),
    )
    .filter((issue) => account === undefined || concerns(c, issue, account))
    .toSorted((a, b) => b.createdAt - a.createdAt || b.id - a.id);
}

function concerns(c: ForgeContext, issue: Issue, account: Account): boolean {
  const asked = (name: string): boolean => ["true", "1", "on"].includes(c.req.query(name) ?? "");
  const reviews = (issue.pull?.reviews ?? []).filter((one) => one.reviewer.id === account.id);
  if (asked("assigned") && !issue.assignees.some((one) => one.id === account.id)) return false;
  if (asked("created") && issue.author.id !== account.id) return false;
  if (asked("mentioned") && !issue.mentioned.has(account.id)) return false;
  if (asked("review_requested") && !reviews.some((one) => one.state === "REQUEST_REVIEW"))
    return false;
  return !asked("reviewed") || reviews.some((one) => one.state !== "REQUEST_REVIEW");
}
