import { Hono } from "hono";
import { z } from "zod";
import { spreadChange } from "./after-push.ts";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  page,
  Refusal,
  readBody,
  repoOf,
  signedIn,
} from "./answers.ts";
import { moveRef } from "./bare-repository.ts";
import { addRow, type Forge } from "./forge.ts";
import { type Payload, time } from "./payloads.ts";
import { readCommits } from "./pull-contents.ts";
import {
  type Account,
  accessOf,
  branchSha,
  canWrite,
  type Protection,
  type PullIssue,
  type Repo,
} from "./state.ts";

const NewProtection = z.object({
  rule_name: z.string().default(""),
  branch_name: z.string().default(""),
  enable_push: z.boolean().default(false),
  required_approvals: z.number().int().nonnegative().default(0),
  enable_status_check: z.boolean().default(false),
  status_check_contexts: z.array(z.string()).nullish(),
  block_on_rejected_reviews: z.boolean().default(false),
  block_on_outdated_branch: z.boolean().default(false),
  dismiss_stale_approvals: z.boolean().default(false),
  apply_to_admins: z.boolean().default(false),
});

/** @returns the routes of branches and their protection. */
export function branchRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/branches";
  app.get(base, async (c) => {
    const repo = repoOf(forge, c);
    const names = page(forge, c, branchNames(repo));
    const viewer = c.get("account");
    return c.json(
      await Promise.all(names.map((name) => branchPayload(forge, repo, { name, viewer }))),
    );
  });
  app.get(`${base}/:branch{.+}`, async (c) => {
    const repo = repoOf(forge, c);
    const name = c.req.param("branch");
    if (branchSha(repo, name) === undefined)
      throw notFound(`branch does not exist [repo_id: ${repo.id} name: ${name}]`);
    return c.json(await branchPayload(forge, repo, { name, viewer: c.get("account") }));
  });
  app.delete(`${base}/:branch{.+}`, (c) => answerDelete(forge, c));
  addProtectionRoutes(forge, app);
  return app;
}

/** Deletes the head branch of a pull request after its merge, where that is allowed. */
export async function deleteHeadBranch(
  forge: Forge,
  issue: PullIssue,
  sender: Account,
): Promise<void> {
  const { repo, pull } = issue;
  const isProtected = repo.protections.some((rule) => rule.ruleName === pull.headBranch);
  if (pull.headBranch === repo.defaultBranch || isProtected || !canWrite(repo, sender))
    throw new Refusal(403, "insufficient permission to delete head branch");
  await deleteBranch(forge, repo, { name: pull.headBranch, sender });
  addRow(forge, issue, "delete_branch", { author: sender, oldRef: pull.headBranch });
}

async function answerDelete(forge: Forge, c: ForgeContext): Promise<Response> {
  const repo = repoOf(forge, c, "write");
  const name = c.req.param("branch") ?? "";
  if (branchSha(repo, name) === undefined) throw notFound("branch not found");
  if (name === repo.defaultBranch) throw new Refusal(403, "can not delete default branch");
  if (repo.protections.some((rule) => rule.ruleName === name))
    throw new Refusal(403, "branch protected");
  await deleteBranch(forge, repo, { name, sender: signedIn(c) });
  return c.body(null, 204);
}

/** `delete` is sent first, then the pull requests of the branch are closed. */
async function deleteBranch(
  forge: Forge,
  repo: Repo,
  { name, sender }: { name: string; sender: Account },
): Promise<void> {
  const ref = `refs/heads/${name}`;
  const before = branchSha(repo, name);
  if (before === undefined) return;
  const isGone = await forge.git.exclusive(repo.path, () =>
    moveRef(forge, repo, { ref, before, after: null }),
  );
  if (!isGone) throw new Refusal(500, "the branch moved while it was deleted");
  await spreadChange(forge, repo, { change: { ref, before, after: undefined }, sender });
}

function branchNames(repo: Repo): string[] {
  const prefix = "refs/heads/";
  return [...repo.refs.keys()]
    .filter((ref) => ref.startsWith(prefix))
    .map((ref) => ref.slice(prefix.length))
    .toSorted();
}

/** The name of the rule is for administrators only (Forgejo: services/convert/convert.go ToBranch). */
async function branchPayload(
  forge: Forge,
  repo: Repo,
  { name, viewer }: { name: string; viewer: Account | undefined },
): Promise<Payload> {
  const sha = branchSha(repo, name) ?? "";
  const [commit] = await readCommits(forge, repo, ["--max-count=1", sha]);
  const rule = repo.protections.find((one) => one.ruleName === name);
  const inner = (commit?.["commit"] ?? {}) as Payload;
  return {
    name,
    commit: {
      id: sha,
      message: inner["message"] ?? "",
      url: commit?.["html_url"] ?? "",
      author: inner["author"] ?? null,
      committer: inner["committer"] ?? null,
      verification: null,
      timestamp: commit?.["created"] ?? "",
      added: null,
      removed: null,
      modified: null,
    },
    protected: rule !== undefined,
    required_approvals: rule?.requiredApprovals ?? 0,
    enable_status_check: rule?.enableStatusCheck ?? false,
    status_check_contexts: rule?.statusCheckContexts ?? [],
    user_can_push: canWrite(repo, viewer) && (rule === undefined || rule.enablePush),
    user_can_merge: canWrite(repo, viewer),
    effective_branch_protection_name:
      accessOf(repo, viewer) === "admin" ? (rule?.ruleName ?? "") : "",
  };
}

function addProtectionRoutes(forge: Forge, app: Hono<ForgeEnv>): void {
  const base = "/repos/:owner/:repo/branch_protections";
  app.get(base, (c) => {
    const repo = repoOf(forge, c, "admin");
    return c.json(repo.protections.map(protectionPayload));
  });
  app.post(base, async (c) => {
    const repo = repoOf(forge, c, "admin");
    const form = await readBody(c, NewProtection);
    const ruleName = form.rule_name || form.branch_name;
    if (ruleName === "") throw new Refusal(422, "both rule_name and branch_name are empty");
    if (repo.protections.some((rule) => rule.ruleName === ruleName))
      throw new Refusal(403, "Branch protection already exist");
    const rule: Protection = {
      ruleName,
      enablePush: form.enable_push,
      requiredApprovals: form.required_approvals,
      enableStatusCheck: form.enable_status_check,
      statusCheckContexts: form.status_check_contexts ?? [],
      blockOnRejectedReviews: form.block_on_rejected_reviews,
      blockOnOutdatedBranch: form.block_on_outdated_branch,
      dismissStaleApprovals: form.dismiss_stale_approvals,
      applyToAdmins: form.apply_to_admins,
      createdAt: forge.now(),
    };
    repo.protections.push(rule);
    return c.json(protectionPayload(rule), 201);
  });
  app.delete(`${base}/:name{.+}`, (c) => {
    const repo = repoOf(forge, c, "admin");
    const kept = repo.protections.filter((rule) => rule.ruleName !== c.req.param("name"));
    if (kept.length === repo.protections.length) throw notFound();
    repo.protections = kept;
    return c.body(null, 204);
  });
}

function protectionPayload(rule: Protection): Payload {
  return {
    branch_name: rule.ruleName,
    rule_name: rule.ruleName,
    enable_push: rule.enablePush,
    enable_push_whitelist: false,
    enable_merge_whitelist: false,
    enable_status_check: rule.enableStatusCheck,
    status_check_contexts: rule.statusCheckContexts,
    required_approvals: rule.requiredApprovals,
    enable_approvals_whitelist: false,
    approvals_whitelist_username: [],
    block_on_rejected_reviews: rule.blockOnRejectedReviews,
    block_on_official_review_requests: false,
    block_on_outdated_branch: rule.blockOnOutdatedBranch,
    dismiss_stale_approvals: rule.dismissStaleApprovals,
    ignore_stale_approvals: false,
    require_signed_commits: false,
    protected_file_patterns: "",
    unprotected_file_patterns: "",
    apply_to_admins: rule.applyToAdmins,
    created_at: time(rule.createdAt),
    updated_at: time(rule.createdAt),
  };
}
