import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  page,
  pullOf,
  Refusal,
  readBody,
  repoOf,
  signedIn,
} from "./answers.ts";
import { assignableAccounts, replaceAssignees } from "./assignees.ts";
import { closedNumbers } from "./close-keywords.ts";
import { requestCodeOwners } from "./code-owners.ts";
import { emitIssue } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { addIssue, editIssue, IssueEdit } from "./issues.ts";
import { labelsById } from "./labels.ts";
import { checkLater, mergeBaseOf, refreshPull } from "./pull-check.ts";
import { pullPayload } from "./pull-payload.ts";
import {
  type Account,
  branchSha,
  canWrite,
  type Issue,
  isPull,
  nextId,
  type Pull,
  type PullIssue,
  pullsOf,
  type Repo,
} from "./state.ts";

const NewPull = z.object({
  head: z.string().min(1),
  base: z.string().min(1),
  title: z.string().min(1).max(255),
  body: z.string().default(""),
  assignee: z.string().optional(),
  assignees: z.array(z.string()).nullish(),
  labels: z.array(z.number()).nullish(),
});

/** @returns the routes of pull requests themselves. */
export function pullRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/pulls";
  app.get(base, (c) => {
    const found = page(forge, c, selectPulls(c, repoOf(forge, c)));
    return c.json(found.map((one) => pullPayload(forge, one, c.get("account"))));
  });
  app.post(base, async (c) => {
    const repo = repoOf(forge, c);
    const issue = await createPull(forge, c, repo);
    return c.json(pullPayload(forge, issue, c.get("account")), 201);
  });
  app.get(`${base}/:index{[0-9]+}`, (c) =>
    c.json(pullPayload(forge, pullOf(repoOf(forge, c), c), c.get("account"))),
  );
  app.patch(`${base}/:index{[0-9]+}`, async (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    const edit = await readBody(c, IssueEdit);
    const sender = signedIn(c);
    if (edit.base !== undefined) assertBase(issue, edit.base);
    editIssue(forge, issue, { edit, sender });
    if (edit.base !== undefined) await changeBase(forge, issue, { base: edit.base, sender });
    return c.json(pullPayload(forge, issue, sender), 201);
  });
  app.get(`${base}/:base/:head{.+}`, (c) => {
    const repo = repoOf(forge, c);
    const found = pullsOf(repo).find(
      (one) =>
        one.pull.baseBranch === c.req.param("base") && one.pull.headBranch === c.req.param("head"),
    );
    if (found === undefined) throw notFound();
    return c.json(pullPayload(forge, found, c.get("account")));
  });
  return app;
}

/** Filters by state, head (`branch` or `owner:branch`), base and author. */
function selectPulls(c: ForgeContext, repo: Repo): PullIssue[] {
  const state = c.req.query("state") ?? "open";
  const head = c.req.query("head")?.replace(/^[^:]*:/, "");
  const base = c.req.query("base");
  const poster = c.req.query("poster")?.toLowerCase();
  return pullsOf(repo)
    .filter((one) => state === "all" || one.isClosed === (state === "closed"))
    .filter((one) => head === undefined || one.pull.headBranch === head)
    .filter((one) => base === undefined || one.pull.baseBranch === base)
    .filter((one) => poster === undefined || one.author.login.toLowerCase() === poster)
    .toSorted((a, b) => b.createdAt - a.createdAt || b.id - a.id);
}

async function createPull(forge: Forge, c: ForgeContext, repo: Repo): Promise<PullIssue> {
  const sender = signedIn(c);
  const form = await readBody(c, NewPull);
  if (form.head === form.base)
    throw new Refusal(
      422,
      `Invalid PullRequest: There are no changes between the head and the base`,
    );
  const headBranch = headBranchOf(repo, form.head);
  const base = existing(repo, form.base);
  const head = existing(repo, headBranch);
  // Whoever sees the pull request can read its files at once.
  const mergeBase = await mergeBaseOf(forge, repo, { base, head });
  assertNoTwin(repo, { baseBranch: form.base, headBranch });
  const mayWrite = canWrite(repo, sender);
  const logins = form.assignees ?? (form.assignee ? [form.assignee] : []);
  const assignees = mayWrite ? assignableAccounts(forge, repo, logins) : [];
  const labels = mayWrite ? labelsById(repo, form.labels ?? []) : [];
  const pull = newPull(forge, { baseBranch: form.base, headBranch, headSha: head, mergeBase });
  const issue = addIssue(forge, repo, { author: sender, title: form.title, body: form.body, pull });
  if (!isPull(issue)) throw new Error("an issue made with a pull request is none");
  issue.labels = labels;
  for (const label of labels) addRow(forge, issue, "label", { author: sender, label, body: "1" });
  await refreshPull(forge, issue);
  checkLater(forge, issue);
  addReferences(forge, issue);
  replaceAssignees(forge, issue, { wanted: assignees, sender });
  await requestCodeOwners(forge, issue);
  emitIssue(forge, issue, { action: "opened", sender });
  if (labels.length > 0) emitIssue(forge, issue, { action: "label_updated", sender });
  return issue;
}

function existing(repo: Repo, branch: string): string {
  const sha = branchSha(repo, branch);
  if (sha !== undefined) return sha;
  throw notFound(`could not find '${branch}' to be a commit, branch or tag`);
}

/** Forks are not part of the embedded forge: `owner:branch` must name the same owner. */
function headBranchOf(repo: Repo, head: string): string {
  const colon = head.indexOf(":");
  if (colon < 0) return head;
  const owner = head.slice(0, colon);
  if (owner.toLowerCase() !== repo.owner.login.toLowerCase())
    throw notFound(`${owner} does not have a fork of ${repo.name}`);
  return head.slice(colon + 1);
}

function assertNoTwin(repo: Repo, branches: { baseBranch: string; headBranch: string }): void {
  const twin = pullsOf(repo).find(
    (one) =>
      !one.isClosed &&
      one.pull.baseBranch === branches.baseBranch &&
      one.pull.headBranch === branches.headBranch,
  );
  if (twin === undefined) return;
  throw new Refusal(
    409,
    `pull request already exists for these targets [id: ${twin.pull.id}, issue_id: ${twin.number}, ` +
      `head_repo_id: ${repo.id}, base_repo_id: ${repo.id}, ` +
      `head_branch: ${branches.headBranch}, base_branch: ${branches.baseBranch}]`,
  );
}

function newPull(
  forge: Forge,
  where: Pick<Pull, "baseBranch" | "headBranch" | "headSha" | "mergeBase">,
): Pull {
  return {
    id: nextId(forge.state),
    ...where,
    status: "checking",
    checks: 0,
    stats: { additions: 0, deletions: 0, files: 0 },
    reviews: [],
  };
}

/** The timeline of an issue shows the pull requests that would close it. */
function addReferences(forge: Forge, issue: PullIssue): void {
  for (const number of new Set(closedNumbers(`${issue.title}\n${issue.body}`))) {
    const closed: Issue | undefined = issue.repo.issues.get(number);
    if (closed === undefined || closed === issue) continue;
    addRow(forge, closed, "pull_ref", {
      author: issue.author,
      refIssue: issue,
      refAction: "closes",
    });
  }
}

function assertBase(issue: PullIssue, base: string): void {
  if (branchSha(issue.repo, base) === undefined) throw notFound(`new base '${base}' not exist`);
  if (issue.isClosed) throw new Refusal(422, `issue is closed [id: ${issue.id}]`);
  if (base !== issue.pull.baseBranch)
    assertNoTwin(issue.repo, { baseBranch: base, headBranch: issue.pull.headBranch });
}

async function changeBase(
  forge: Forge,
  issue: PullIssue,
  { base, sender }: { base: string; sender: Account },
): Promise<void> {
  const from = issue.pull.baseBranch;
  if (from === base) return;
  issue.pull.baseBranch = base;
  await refreshPull(forge, issue);
  checkLater(forge, issue);
  addRow(forge, issue, "change_target_branch", { author: sender, oldRef: from, newRef: base });
  emitIssue(forge, issue, { action: "edited", sender, changes: { ref: { from } } });
}
