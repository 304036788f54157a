import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { type Answer, at } from "../forge-client.ts";
import type { Role, World } from "../world.ts";

/** Merging, and every way in which it is refused. */
export const mergeCases: ContractCase[] = [
  {
    name: "a merge answers 200, and the pull request shows who merged which sha",
    restsOn: "Forgejo routers/api/v1/repo/pull.go MergePullRequest",
    run: async (world, check) => {
      const pull = await world.newPull();
      const before = await world.inRepo("boss", "GET", `/pulls/${pull.number}/merge`);
      const merged = await merge(world, "lead", pull.number, { head_commit_id: pull.sha });
      const after = await world.inRepo("boss", "GET", `/pulls/${pull.number}/merge`);
      const { body } = await world.inRepo("boss", "GET", `/pulls/${pull.number}`);
      const base = await world.inRepo("boss", "GET", "/branches/main");

      check.same("not merged", 404, before.status);
      check.same("merge", 200, merged.status);
      check.same("merged", 204, after.status);
      check.same("state", ["closed", true], [at(body, "state"), at(body, "merged")]);
      check.same("merged_by", world.people.lead.login, at(body, "merged_by.login"));
      check.same("base is at the merge", at(body, "merge_commit_sha"), at(base.body, "commit.id"));
      check.same("mergeable", false, at(body, "mergeable") && false);
    },
  },
  {
    name: "the merge styles merge, squash, rebase and fast-forward make the commits they say",
    restsOn: "Forgejo services/pull/merge_{merge,squash,rebase,ff_only}.go",
    run: async (world, check) => {
      const base = world.unique("base");
      await world.push("owner", { branch: base });
      for (const [style, parents] of [
        ["merge", 2],
        ["squash", 1],
        ["rebase", 1],
        ["fast-forward-only", 1],
      ] as const) {
        const branch = world.unique(style);
        await world.push("boss", { branch, from: base, fresh: true });
        const form = { head: branch, base, title: `by ${style}` };
        const number = Number(
          at((await world.inRepo("boss", "POST", "/pulls", form)).body, "number"),
        );
        await world.mergeableSoon(number);
        const answer = await merge(world, "lead", number, { Do: style });
        await world.git("lead", ["fetch", "--quiet", "origin"]);
        const log = await world.git("lead", ["log", "-1", "--format=%P", `origin/${base}`]);

        check.same(`${style} answers`, 200, answer.status);
        check.same(`${style} parents`, parents, log.stdout.trim().split(" ").length);
      }
    },
  },
  {
    name: "a head other than head_commit_id is refused with 409",
    restsOn: "Forgejo services/pull/merge_prepare.go ErrSHADoesNotMatch",
    run: async (world, check) => {
      const pull = await world.newPull();
      const answer = await merge(world, "lead", pull.number, { head_commit_id: "1".repeat(40) });

      check.same("status", 409, answer.status);
      check.same("message", "head out of date", at(answer.body, "message"));
    },
  },
  {
    name: "while the conflict check runs a merge is refused with 405, later it goes through",
    restsOn: "Forgejo services/pull/check.go ErrNotMergeableState",
    run: async (world, check) => {
      const pull = await world.newPull({ settle: false });
      const first = await merge(world, "lead", pull.number);
      check.oneOf("at once", [200, 405], first.status);
      if (first.status === 405)
        check.same("message", "Please try again later", at(first.body, "message"));
      const done = await eventually(async () => {
        const again = await merge(world, "lead", pull.number);
        const now = await world.inRepo("lead", "GET", `/pulls/${pull.number}`);
        return again.status === 200 || at(now.body, "merged") === true ? true : undefined;
      });

      check.same("later", true, done);
    },
  },
  {
    name: "a conflict shows as not mergeable and is refused with 405, in the words of a running check",
    restsOn: "Forgejo services/pull/check.go: CanAutoMerge is false for conflicts",
    run: async (world, check) => {
      const base = world.unique("base");
      await world.push("owner", { branch: base, files: { "same.txt": "base\n" } });
      const branch = world.unique("topic");
      await world.push("boss", { branch, from: base, files: { "same.txt": "mine\n" } });
      await world.push("owner", { branch: base, from: base, files: { "same.txt": "theirs\n" } });
      const form = { head: branch, base, title: "conflict" };
      const number = Number(
        at((await world.inRepo("boss", "POST", "/pulls", form)).body, "number"),
      );
      await Bun.sleep(world.forge.settleMs);
      const pull = await world.inRepo("lead", "GET", `/pulls/${number}`);
      const answer = await merge(world, "lead", number);
      const updated = await world.inRepo("boss", "POST", `/pulls/${number}/update`);

      check.same("mergeable", false, at(pull.body, "mergeable"));
      check.oneOf("status", [405, 409], answer.status);
      check.same("updating the branch", 409, updated.status);
    },
  },
  {
    name: "WIP, a reader, an unknown style and a merged one are refused with 405, a closed one with 404",
    restsOn: "Forgejo routers/api/v1/repo/pull.go MergePullRequest",
    run: async (world, check) => {
      const wip = await world.newPull({ title: "WIP: x", settle: false });
      const plain = await world.newPull();
      const closed = await world.newPull();
      await world.inRepo("boss", "PATCH", `/pulls/${closed.number}`, { state: "closed" });
      const draft = await merge(world, "lead", wip.number);
      const reader = await merge(world, "guest", plain.number);
      const style = await merge(world, "lead", plain.number, { Do: "teleport" });
      const done = await merge(world, "lead", plain.number);
      const again = await merge(world, "lead", plain.number);

      check.same(
        "WIP",
        [405, "Work in progress PRs cannot be merged"],
        [draft.status, at(draft.body, "message")],
      );
      check.same("reader", 405, reader.status);
      check.oneOf("style", [405, 422], style.status);
      check.same("merge", 200, done.status);
      check.same("again", 405, again.status);
      check.same("closed", 404, (await merge(world, "lead", closed.number)).status);
    },
  },
  {
    name: "a protection that wants approvals refuses with its reason until there is one",
    restsOn: "Forgejo services/pull/merge.go CheckPullBranchProtections",
    run: async (world, check) => {
      const { base, number } = await protectedPull(world, { required_approvals: 1 });
      const early = await merge(world, "lead", number);
      await world.inRepo("reviewer", "POST", `/pulls/${number}/reviews`, { event: "APPROVED" });
      const late = await merge(world, "lead", number);

      check.same("early", 405, early.status);
      check.that(
        "reason",
        String(at(early.body, "message")).includes("Does not have enough approvals"),
        early.text,
      );
      check.same(`late, into ${base}`, 200, late.status);
    },
  },
  {
    name: "a protection that wants a status refuses until it is green",
    restsOn: "Forgejo services/pull/commit_status.go",
    run: async (world, check) => {
      const contexts = { enable_status_check: true, status_check_contexts: ["ci/test"] };
      const { number, sha } = await protectedPull(world, contexts);
      const early = await merge(world, "lead", number);
      const state = { state: "success", context: "ci/test" };
      await world.inRepo("boss", "POST", `/statuses/${sha}`, state);
      const late = await merge(world, "lead", number);

      check.same("early", 405, early.status);
      check.that("reason", String(at(early.body, "message")).includes("status checks"), early.text);
      check.same("late", 200, late.status);
    },
  },
  {
    name: "a scheduled merge on a green pull request stays scheduled, cannot be doubled and is cancelled",
    restsOn: "Forgejo services/automerge/automerge.go ScheduleAutoMerge",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const form = { merge_when_checks_succeed: true };
      const scheduled = await merge(world, "lead", number, form);
      const doubled = await merge(world, "lead", number, form);
      await Bun.sleep(world.forge.settleMs);
      const still = await world.inRepo("lead", "GET", `/pulls/${number}`);
      const cancelled = await world.inRepo("lead", "DELETE", `/pulls/${number}/merge`);
      const again = await world.inRepo("lead", "DELETE", `/pulls/${number}/merge`);

      check.same("scheduled", 201, scheduled.status);
      check.same("doubled", 409, doubled.status);
      check.same(
        "not merged",
        [false, "open"],
        [at(still.body, "merged"), at(still.body, "state")],
      );
      check.same("cancelled", 204, cancelled.status);
      check.same("nothing to cancel", 404, again.status);
    },
  },
  {
    name: "delete_branch_after_merge removes the branch and the head keeps its sha",
    restsOn: "Forgejo routers/api/v1/repo/pull.go, services/convert/pull.go",
    run: async (world, check) => {
      const pull = await world.newPull();
      const answer = await merge(world, "lead", pull.number, { delete_branch_after_merge: true });
      const branch = await world.inRepo(
        "boss",
        "GET",
        `/branches/${encodeURIComponent(pull.branch)}`,
      );
      const { body } = await world.inRepo("boss", "GET", `/pulls/${pull.number}`);

      check.same("merge", 200, answer.status);
      check.same("branch", 404, branch.status);
      check.same("merged", true, at(body, "merged"));
      check.same("head.ref", `refs/pull/${pull.number}/head`, at(body, "head.ref"));
      check.same("head.sha", pull.sha, at(body, "head.sha"));
    },
  },
  {
    name: "Closes #N in the body or in a commit closes the issue at the merge",
    restsOn: "Forgejo services/pull/merge.go handleCloseCrossReferences, services/issue/commit.go",
    run: async (world, check) => {
      const byBody = await world.newIssue();
      const byCommit = await world.newIssue();
      const options = { body: `Closes #${byBody}`, message: `change\n\nFixes #${byCommit}` };
      const pull = await world.newPull(options);
      await merge(world, "lead", pull.number);

      for (const number of [byBody, byCommit]) {
        const state = await eventually(async () => {
          const issue = await world.inRepo("boss", "GET", `/issues/${number}`);
          return at(issue.body, "state") === "closed" ? "closed" : undefined;
        });
        check.same(`#${number}`, "closed", state);
      }
    },
  },
  {
    name: "updating a branch that is behind brings the base in",
    restsOn: "Forgejo routers/api/v1/repo/pull.go UpdatePullRequest",
    run: async (world, check) => {
      const pull = await world.newPull();
      const base = await world.push("owner", { branch: "main", fresh: true });
      const answer = await world.inRepo("boss", "POST", `/pulls/${pull.number}/update?style=merge`);
      await world.git("boss", ["fetch", "--quiet", "origin"]);
      const contains = await world.git("boss", [
        "merge-base",
        "--is-ancestor",
        base,
        `origin/${pull.branch}`,
      ]);

      check.same("status", 200, answer.status);
      check.same("contains the base", 0, contains.exitCode);
    },
  },
];

function merge(
  world: World,
  role: Role,
  number: number,
  form: Record<string, unknown> = {},
): Promise<Answer> {
  return world.inRepo(role, "POST", `/pulls/${number}/merge`, { Do: "merge", ...form });
}

async function protectedPull(
  world: World,
  rule: Record<string, unknown>,
): Promise<{ base: string; number: number; sha: string }> {
  const base = world.unique("guarded");
  await world.push("owner", { branch: base });
  await world.inRepo("owner", "POST", "/branch_protections", { rule_name: base, ...rule });
  const branch = world.unique("topic");
  const sha = await world.push("boss", { branch, from: base });
  const form = { head: branch, base, title: "guarded" };
  const number = Number(at((await world.inRepo("boss", "POST", "/pulls", form)).body, "number"));
  await world.mergeableSoon(number);
  return { base, number, sha };
}
