import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  issueOf,
  page,
  Refusal,
  readBody,
  repoOf,
  room,
  signedIn,
} from "./answers.ts";
import { assignableAccounts, replaceAssignees } from "./assignees.ts";
import { setClosed } from "./close-keywords.ts";
import { emitIssue } from "./events.ts";
import { addRow, type Forge, noteMentions } from "./forge.ts";
import { labelsById, setLabels } from "./labels.ts";
import { issuePayload } from "./payloads.ts";
import { selectIssues } from "./search.ts";
import {
  type Account,
  canWrite,
  type Issue,
  isPull,
  LIMITS,
  nextId,
  type Pull,
  type Repo,
} from "./state.ts";

const NewIssue = z.object({
  title: z.string().min(1).max(255),
  body: z.string().default(""),
  assignee: z.string().optional(),
  assignees: z.array(z.string()).nullish(),
  labels: z.array(z.number()).nullish(),
  closed: z.boolean().default(false),
});

/** What PATCH of an issue or a pull request may carry. */
export const IssueEdit = z.object({
  title: z.string().optional(),
  body: z.string().nullish(),
  assignee: z.string().nullish(),
  assignees: z.array(z.string()).nullish(),
  labels: z.array(z.number()).nullish(),
  state: z.string().optional(),
  base: z.string().optional(),
});
export type IssueEdit = z.infer<typeof IssueEdit>;

/** @returns the routes of issues themselves. */
export function issueRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/issues";
  app.get(base, (c) => {
    const repo = repoOf(forge, c);
    const found = selectIssues(c, [...repo.issues.values()], undefined);
    return c.json(page(forge, c, found).map((one) => issuePayload(forge, one, c.get("account"))));
  });
  app.post(base, async (c) => {
    const issue = await createIssue(forge, c, repoOf(forge, c));
    return c.json(issuePayload(forge, issue, c.get("account")), 201);
  });
  app.get(`${base}/:index{[0-9]+}`, (c) =>
    c.json(issuePayload(forge, issueOf(repoOf(forge, c), c), c.get("account"))),
  );
  app.patch(`${base}/:index{[0-9]+}`, async (c) => {
    const issue = issueOf(repoOf(forge, c), c);
    editIssue(forge, issue, { edit: await readBody(c, IssueEdit), sender: signedIn(c) });
    return c.json(issuePayload(forge, issue, c.get("account")), 201);
  });
  return app;
}

/** Adds an issue, or the issue of a pull request, without telling anybody. */
export function addIssue(
  forge: Forge,
  repo: Repo,
  { author, title, body, pull }: { author: Account; title: string; body: string; pull?: Pull },
): Issue {
  room(repo.issues.size, LIMITS.issues, "issues in a repository");
  repo.lastNumber += 1;
  const issue: Issue = {
    id: nextId(forge.state),
    number: repo.lastNumber,
    repo,
    author,
    title,
    body,
    isClosed: false,
    closedAt: undefined,
    assignees: [],
    labels: [],
    rows: [],
    reactions: [],
    mentioned: new Set(),
    createdAt: forge.now(),
    updatedAt: forge.now(),
    ...(pull === undefined ? {} : { pull }),
  };
  repo.issues.set(issue.number, issue);
  noteMentions(forge, issue, body);
  return issue;
}

/**
 * Carries out PATCH of an issue or pull request. Who may not write and is not the author is
 * refused; an author without write access changes title, body and state, his assignees are
 * silently left out (Forgejo: routers/api/v1/repo/issue.go).
 */
export function editIssue(
  forge: Forge,
  issue: Issue,
  { edit, sender }: { edit: IssueEdit; sender: Account },
): void {
  const mayWrite = canWrite(issue.repo, sender);
  if (!mayWrite && issue.author.id !== sender.id)
    throw new Refusal(403, "user should have permission to write issues or be the poster");
  const assignees = edit.assignees ?? (edit.assignee ? [edit.assignee] : undefined);
  const wanted =
    assignees !== undefined && mayWrite
      ? assignableAccounts(forge, issue.repo, assignees)
      : undefined;
  if (edit.state !== undefined) assertState(issue, edit.state);
  editTitle(forge, issue, { title: edit.title, sender });
  editBody(forge, issue, { body: edit.body ?? undefined, sender });
  if (wanted !== undefined) replaceAssignees(forge, issue, { wanted, sender });
  if (edit.labels && mayWrite && isPull(issue))
    setLabels(forge, issue, { wanted: labelsById(issue.repo, edit.labels), sender });
  if (edit.state !== undefined && (edit.state === "closed") !== issue.isClosed)
    setClosed(forge, issue, { isClosed: edit.state === "closed", sender });
}

async function createIssue(forge: Forge, c: ForgeContext, repo: Repo): Promise<Issue> {
  const sender = signedIn(c);
  const form = await readBody(c, NewIssue);
  const mayWrite = canWrite(repo, sender);
  const logins = form.assignees ?? (form.assignee ? [form.assignee] : []);
  const assignees = mayWrite ? assignableAccounts(forge, repo, logins) : [];
  const labels = mayWrite ? labelsById(repo, form.labels ?? []) : [];
  const issue = addIssue(forge, repo, { author: sender, title: form.title, body: form.body });
  issue.labels = labels;
  for (const label of labels) addRow(forge, issue, "label", { author: sender, label, body: "1" });
  replaceAssignees(forge, issue, { wanted: assignees, sender });
  emitIssue(forge, issue, { action: "opened", sender });
  if (labels.length > 0) emitIssue(forge, issue, { action: "label_updated", sender });
  if (form.closed) setClosed(forge, issue, { isClosed: true, sender });
  return issue;
}

function assertState(issue: Issue, state: string): void {
  if (state !== "open" && state !== "closed") throw new Refusal(412, `unknown state: ${state}`);
  if (isPull(issue) && issue.pull.merged !== undefined)
    throw new Refusal(412, "cannot change state of this pull request, it was already merged");
}

function editTitle(
  forge: Forge,
  issue: Issue,
  { title, sender }: { title: string | undefined; sender: Account },
): void {
  if (title === undefined || title === "" || title === issue.title) return;
  const from = issue.title;
  issue.title = title;
  addRow(forge, issue, "change_title", { author: sender, oldTitle: from, newTitle: title });
  emitIssue(forge, issue, { action: "edited", sender, changes: { title: { from } } });
}

function editBody(
  forge: Forge,
  issue: Issue,
  { body, sender }: { body: string | undefined; sender: Account },
): void {
  if (body === undefined || body === issue.body) return;
  const from = issue.body;
  issue.body = body;
  issue.updatedAt = forge.now();
  noteMentions(forge, issue, body);
  emitIssue(forge, issue, { action: "edited", sender, changes: { body: { from } } });
}
