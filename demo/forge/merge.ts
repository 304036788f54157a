import { Hono } from "hono";
import { z } from "zod";
import { type RefChange, spreadChange } from "./after-push.ts";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  pullOf,
  Refusal,
  readBody,
  repoOf,
  signedIn,
} from "./answers.ts";
import { identityOf, moveRef } from "./bare-repository.ts";
import { deleteHeadBranch } from "./branches.ts";
import { addRow, type Forge } from "./forge.ts";
import { makeMerge } from "./merge-git.ts";
import { mergePull } from "./merge-pull.ts";
import { assertMergeable } from "./mergeable.ts";
import { pageOf } from "./payloads.ts";
import { branchSha, canWrite, fullName, type MergeStyle, type PullIssue } from "./state.ts";

const STYLES = ["merge", "rebase", "rebase-merge", "squash", "fast-forward-only"];
const MergeOption = z.object({
  Do: z.string().default("merge"),
  MergeTitleField: z.string().default(""),
  MergeMessageField: z.string().default(""),
  head_commit_id: z.string().default(""),
  delete_branch_after_merge: z.boolean().default(false),
  merge_when_checks_succeed: z.boolean().default(false),
  force_merge: z.boolean().default(false),
});

/** @returns the routes that merge, schedule a merge and update a branch. */
export function mergeRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/pulls/:index{[0-9]+}";
  app.get(`${base}/merge`, (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    if (issue.pull.merged === undefined) throw notFound();
    return c.body(null, 204);
  });
  app.post(`${base}/merge`, (c) => answerMerge(forge, c));
  app.delete(`${base}/merge`, (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    const sender = signedIn(c);
    const { scheduled } = issue.pull;
    if (scheduled === undefined) throw notFound();
    if (scheduled.by.id !== sender.id && !canWrite(issue.repo, sender))
      throw new Refusal(403, "user has no permission to cancel the scheduled auto merge");
    delete issue.pull.scheduled;
    addRow(forge, issue, "pull_cancel_scheduled_merge", { author: sender });
    return c.body(null, 204);
  });
  app.post(`${base}/update`, (c) => answerUpdate(forge, c));
  return app;
}

async function answerMerge(forge: Forge, c: ForgeContext): Promise<Response> {
  const issue = pullOf(repoOf(forge, c), c);
  const sender = signedIn(c);
  const form = await readBody(c, MergeOption);
  const isAuto = form.merge_when_checks_succeed;
  await assertMergeable(forge, issue, { sender, force: form.force_merge, isAuto });
  const style = STYLES.find((one) => one === form.Do) as MergeStyle | undefined;
  if (style === undefined)
    throw new Refusal(405, `${form.Do} is not an allowed merge style for this repository`);
  const message = messageOf(forge, issue, { style, form });
  if (isAuto) {
    if (issue.pull.scheduled !== undefined)
      throw new Refusal(409, `pull request is already scheduled to auto merge when checks succeed`);
    const deleteBranch = form.delete_branch_after_merge;
    issue.pull.scheduled = { by: sender, style, message, deleteBranch };
    addRow(forge, issue, "pull_scheduled_merge", { author: sender });
    return c.body(null, 201);
  }
  await mergePull(forge, issue, { sender, style, message, headCommitId: form.head_commit_id });
  if (form.delete_branch_after_merge) await deleteHeadBranch(forge, issue, sender);
  return c.body(null, 200);
}

function messageOf(
  forge: Forge,
  issue: PullIssue,
  { style, form }: { style: MergeStyle; form: z.infer<typeof MergeOption> },
): string {
  const { pull } = issue;
  const reference = `#${issue.number}`;
  const title =
    style === "squash"
      ? `${issue.title} (${reference})`
      : `Merge pull request '${issue.title}' (${reference}) from ${pull.headBranch} into ${pull.baseBranch}`;
  const body =
    form.MergeMessageField.trim() ||
    (form.MergeTitleField.trim() === "" ? `Reviewed-on: ${pageOf(forge, issue)}` : "");
  return `${form.MergeTitleField.trim() || title}${body === "" ? "" : `\n\n${body}`}\n`;
}

/** Brings the base into the head branch, as a merge or by rebasing. */
async function answerUpdate(forge: Forge, c: ForgeContext): Promise<Response> {
  const repo = repoOf(forge, c);
  const issue = pullOf(repo, c);
  const sender = signedIn(c);
  const { pull } = issue;
  if (issue.isClosed) throw new Refusal(422, "pull request is closed");
  if (!canWrite(repo, sender)) throw new Refusal(403, `no write access to ${fullName(repo)}`);
  const base = branchSha(repo, pull.baseBranch);
  const head = branchSha(repo, pull.headBranch);
  if (base === undefined || head === undefined) throw notFound();
  await forge.git.exclusive(repo.path, async () => {
    const isBehind =
      (await forge.git.run(repo.path, ["merge-base", "--is-ancestor", base, head])).exitCode !== 0;
    if (!isBehind) return;
    const isRebase = c.req.query("style") === "rebase";
    const identity = identityOf(sender);
    const message = `Merge branch '${pull.baseBranch}' into ${pull.headBranch}\n`;
    const made = isRebase
      ? await makeMerge(forge, repo, { style: "rebase", base, head, message, identity })
      : await makeMerge(forge, repo, { style: "merge", base: head, head: base, message, identity });
    const ref = `refs/heads/${pull.headBranch}`;
    if (made.kind !== "merged") throw new Refusal(409, "merge failed because of conflict");
    if (!(await moveRef(forge, repo, { ref, before: head, after: made.sha })))
      throw new Refusal(409, "merge push out of date");
    const change: RefChange = { ref, before: head, after: made.sha };
    forge.later(forge.timing.pushMs, () => spreadChange(forge, repo, { change, sender }));
  });
  return c.body(null, 200);
}
