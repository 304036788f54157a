import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  issueOf,
  notFound,
  numberParam,
  pageLimit,
  pageNumber,
  Refusal,
  readBody,
  repoOf,
  signedIn,
  timeQuery,
} from "./answers.ts";
import { emitComment } from "./events.ts";
import { addRow, type Forge, noteMentions } from "./forge.ts";
import { commentPayload } from "./payloads.ts";
import { type Account, canWrite, type Issue, type Repo, type Row } from "./state.ts";
import { timelinePayload } from "./timeline-payload.ts";

const CommentBody = z.object({ body: z.string().min(1) });

/** @returns the routes of comments and of the timeline. */
export function commentRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/issues";
  app.get(`${base}/:index{[0-9]+}/comments`, (c) => {
    const issue = issueOf(repoOf(forge, c), c);
    const rows = between(c, issue.rows).filter((row) => row.type === "comment");
    c.header("X-Total-Count", String(rows.length));
    return c.json(rows.map((row) => commentPayload(forge, issue, row, c.get("account"))));
  });
  app.post(`${base}/:index{[0-9]+}/comments`, async (c) => {
    const issue = issueOf(repoOf(forge, c), c);
    const sender = signedIn(c);
    const { body } = await readBody(c, CommentBody);
    const row = addRow(forge, issue, "comment", { author: sender, body });
    noteMentions(forge, issue, body);
    emitComment(forge, issue, { action: "created", row, sender });
    return c.json(commentPayload(forge, issue, row, sender), 201);
  });
  app.get(`${base}/:index{[0-9]+}/timeline`, (c) => answerTimeline(forge, c));
  app.get(`${base}/comments/:id{[0-9]+}`, (c) => {
    const { issue, row } = commentOf(repoOf(forge, c), c);
    return c.json(commentPayload(forge, issue, row, c.get("account")));
  });
  app.patch(`${base}/comments/:id{[0-9]+}`, async (c) => {
    const { issue, row } = commentOf(repoOf(forge, c), c);
    const sender = signedIn(c);
    assertMayChange(issue, row, sender);
    const { body } = await readBody(c, CommentBody);
    const from = row.body;
    row.body = body;
    row.updatedAt = forge.now();
    issue.updatedAt = forge.now();
    noteMentions(forge, issue, body);
    if (from !== body)
      emitComment(forge, issue, { action: "edited", row, sender, changes: { body: { from } } });
    return c.json(commentPayload(forge, issue, row, sender));
  });
  app.delete(`${base}/comments/:id{[0-9]+}`, (c) => {
    const { issue, row } = commentOf(repoOf(forge, c), c);
    const sender = signedIn(c);
    assertMayChange(issue, row, sender);
    issue.rows = issue.rows.filter((one) => one !== row);
    emitComment(forge, issue, { action: "deleted", row, sender });
    return c.body(null, 204);
  });
  return app;
}

/** @returns the comment of `:id` with its issue. @throws Refusal 404. */
export function commentOf(repo: Repo, c: ForgeContext): { issue: Issue; row: Row } {
  const id = numberParam(c, "id");
  for (const issue of repo.issues.values()) {
    const row = issue.rows.find((one) => one.id === id);
    if (row !== undefined && (row.type === "comment" || row.type === "code")) return { issue, row };
  }
  throw notFound(`comment does not exist [id: ${id}]`);
}

/**
 * The page is cut before inline comments are left out, X-Total-Count is the number of rows on this
 * page, there is no Link, and a page without rows is `null` (Forgejo: ListIssueCommentsAndTimeline).
 */
function answerTimeline(forge: Forge, c: ForgeContext): Response {
  const issue = issueOf(repoOf(forge, c), c);
  const limit = pageLimit(c);
  const start = (pageNumber(c) - 1) * limit;
  const rows = between(c, issue.rows)
    .slice(start, start + limit)
    .filter((row) => row.type !== "code");
  c.header("X-Total-Count", String(rows.length));
  if (rows.length === 0) return c.json(null);
  return c.json(rows.map((row) => timelinePayload(forge, issue, row, c.get("account"))));
}

/** `since` and `before` are about the time of the last change, both inclusive. */
function between(c: ForgeContext, rows: Row[]): Row[] {
  const since = timeQuery(c, "since");
  const before = timeQuery(c, "before");
  return rows.filter(
    (row) =>
      (since === undefined || row.updatedAt >= since) &&
      (before === undefined || row.updatedAt <= before),
  );
}

function assertMayChange(issue: Issue, row: Row, sender: Account): void {
  if (row.author.id !== sender.id && !canWrite(issue.repo, sender))
    throw new Refusal(403, "user should be the poster of the comment or have write access");
}
