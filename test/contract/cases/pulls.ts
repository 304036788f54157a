import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { at, list } from "../forge-client.ts";

/** Pull requests: making, finding, reading. */
export const pullCases: ContractCase[] = [
  {
    name: "a new pull request shows head, base and author, and is not mergeable while computing",
    restsOn: "Forgejo services/pull/pull.go NewPullRequest, services/convert/pull.go",
    run: async (world, check) => {
      const pull = await world.newPull({ settle: false });
      const { created } = pull;

      check.same("head.ref", pull.branch, at(created, "head.ref"));
      check.same("head.label", pull.branch, at(created, "head.label"));
      check.same("head.sha", pull.sha, at(created, "head.sha"));
      check.same("head.repo", world.fullName, at(created, "head.repo.full_name"));
      check.same("base.ref", "main", at(created, "base.ref"));
      check.same("author", world.people.boss.login, at(created, "user.login"));
      check.same("state, merged", ["open", false], [at(created, "state"), at(created, "merged")]);
      check.same("mergeable", false, at(created, "mergeable"));
      check.same("assignees", null, at(created, "assignees"));
      check.same("requested_reviewers", [], at(created, "requested_reviewers"));
      check.same("mergeable later", true, await world.mergeableSoon(pull.number));
    },
  },
  {
    name: "a pull request is also an issue under the same number",
    restsOn: "Forgejo models/issues/issue.go: one sequence of numbers",
    run: async (world, check) => {
      const pull = await world.newPull();
      const issue = await world.inRepo("boss", "GET", `/issues/${pull.number}`);
      const other = await world.newIssue();
      const asPull = await world.inRepo("boss", "GET", `/pulls/${other}`);

      check.same("status", 200, issue.status);
      check.same("pull_request.merged", false, at(issue.body, "pull_request.merged"));
      check.that("the next number is higher", other > pull.number, other);
      check.same("an issue is no pull request", 404, asPull.status);
    },
  },
  {
    name: "a second pull request for the same branches is 409 and names the first by its number",
    restsOn: "Forgejo models/issues/pull.go ErrPullRequestAlreadyExists",
    run: async (world, check) => {
      const pull = await world.newPull();
      const form = { head: pull.branch, base: "main", title: "again" };
      const answer = await world.inRepo("boss", "POST", "/pulls", form);
      const message = String(at(answer.body, "message"));

      check.same("status", 409, answer.status);
      check.that(
        "message",
        message.startsWith("pull request already exists for these targets"),
        message,
      );
      check.that("issue_id is the number", message.includes(`issue_id: ${pull.number},`), message);
    },
  },
  {
    name: "a closed pull request does not stand in the way of a new one",
    restsOn: "Forgejo models/issues/pull.go GetUnmergedPullRequest: open ones only",
    run: async (world, check) => {
      const pull = await world.newPull();
      await world.inRepo("boss", "PATCH", `/pulls/${pull.number}`, { state: "closed" });
      const form = { head: pull.branch, base: "main", title: "again" };
      const answer = await world.inRepo("boss", "POST", "/pulls", form);

      check.same("status", 201, answer.status);
    },
  },
  {
    name: "an unknown head or base is 404, the same branch twice 422",
    restsOn: "Forgejo routers/api/v1/repo/pull.go CreatePullRequest",
    run: async (world, check) => {
      const create = async (head: string, base: string): Promise<number> =>
        (await world.inRepo("boss", "POST", "/pulls", { head, base, title: "x" })).status;
      const pull = await world.newPull();

      check.same("no head", 404, await create(world.unique("gone"), "main"));
      check.same("no base", 404, await create(pull.branch, world.unique("gone")));
      check.same("head is base", 422, await create("main", "main"));
    },
  },
  {
    name: "a pull request without commits of its own can be made",
    restsOn: "Forgejo routers/api/v1/repo/pull.go CreatePullRequest",
    run: async (world, check) => {
      const branch = world.unique("empty");
      await world.git("boss", ["fetch", "--quiet", "origin"]);
      await world.git("boss", ["push", "--quiet", "origin", `origin/main:refs/heads/${branch}`]);
      const form = { head: branch, base: "main", title: "empty" };
      const answer = await world.inRepo("boss", "POST", "/pulls", form);

      check.same("status", 201, answer.status);
      check.same("changed_files", 0, at(answer.body, "changed_files"));
    },
  },
  {
    name: "a pull request is found by listing all states and filtering by head",
    restsOn: "Forgejo routers/api/v1/repo/pull.go ListPullRequests (head filter since v16 only)",
    run: async (world, check) => {
      const pull = await world.newPull();
      await world.inRepo("boss", "PATCH", `/pulls/${pull.number}`, { state: "closed" });
      const head = encodeURIComponent(pull.branch);
      const answer = await world.inRepo("boss", "GET", `/pulls?state=all&head=${head}&limit=50`);
      const found = list(answer.body).filter((one) => at(one, "head.label") === pull.branch);

      check.same(
        "number",
        [pull.number],
        found.map((one) => at(one, "number")),
      );
      check.same("state", "closed", at(found[0], "state"));
      check.that(
        "X-Total-Count",
        Number(answer.headers.get("X-Total-Count")) >= 1,
        answer.headers.get("X-Total-Count"),
      );
    },
  },
  {
    name: "a pull request is found by base and head, whatever its state",
    restsOn: "Forgejo models/issues/pull.go GetPullRequestByBaseHeadInfo",
    run: async (world, check) => {
      const pull = await world.newPull();
      await world.inRepo("boss", "PATCH", `/pulls/${pull.number}`, { state: "closed" });
      const answer = await world.inRepo("boss", "GET", `/pulls/main/${pull.branch}`);

      check.same("number", pull.number, at(answer.body, "number"));
      check.same("state", "closed", at(answer.body, "state"));
    },
  },
  {
    name: "when the branch is gone head.ref is refs/pull/N/head and the label keeps the name",
    restsOn: "Forgejo services/convert/pull.go",
    run: async (world, check) => {
      const pull = await world.newPull();
      const path = `/branches/${encodeURIComponent(pull.branch)}`;
      const deleted = await world.inRepo("boss", "DELETE", path);
      const closed = await eventually(async () => {
        const answer = await world.inRepo("boss", "GET", `/pulls/${pull.number}`);
        return at(answer.body, "state") === "closed" ? answer.body : undefined;
      });

      check.same("deleted", 204, deleted.status);
      check.same("state", "closed", at(closed, "state"));
      check.same("merged", false, at(closed, "merged"));
      check.same("head.ref", `refs/pull/${pull.number}/head`, at(closed, "head.ref"));
      check.same("head.label", pull.branch, at(closed, "head.label"));
      check.same("head.sha", pull.sha, at(closed, "head.sha"));
    },
  },
  {
    name: "a push moves the head of the pull request",
    restsOn: "Forgejo services/convert/pull.go, services/pull/pull.go AddTestPullRequestTask",
    run: async (world, check) => {
      const pull = await world.newPull();
      const sha = await world.push("boss", { branch: pull.branch, from: pull.branch });
      const seen = await eventually(async () => {
        const answer = await world.inRepo("boss", "GET", `/pulls/${pull.number}`);
        return at(answer.body, "head.sha") === sha ? answer.body : undefined;
      });

      check.same("head.sha", sha, at(seen, "head.sha"));
      check.same("mergeable again", true, await world.mergeableSoon(pull.number));
    },
  },
  {
    name: "a WIP title makes a draft that is never mergeable",
    restsOn: "Forgejo models/issues/pull.go IsWorkInProgress, Mergeable",
    run: async (world, check) => {
      const pull = await world.newPull({ title: "WIP: not yet", settle: false });
      const ready = await world.newPull();
      const path = `/pulls/${pull.number}`;
      const draft = await world.inRepo("boss", "GET", path);
      const renamed = await world.inRepo("boss", "PATCH", path, { title: "ready now" });

      check.that("another is mergeable by now", ready.number > 0, ready.number);
      check.same("draft", true, at(draft.body, "draft"));
      check.same("mergeable", false, at(draft.body, "mergeable"));
      check.same("PATCH", [201, false], [renamed.status, at(renamed.body, "draft")]);
      check.same("mergeable when renamed", true, await world.mergeableSoon(pull.number));
    },
  },
  {
    name: "diff, files and commits show what the branch brings",
    restsOn: "Forgejo routers/api/v1/repo/pull.go",
    run: async (world, check) => {
      const file = `${world.unique("shown")}.txt`;
      const pull = await world.newPull({ files: { [file]: "a\nb\n" } });
      const path = `/pulls/${pull.number}`;
      const diff = await world.inRepo("guest", "GET", `${path}.diff`);
      const files = await world.inRepo("guest", "GET", `${path}/files`);
      const commits = await world.inRepo("guest", "GET", `${path}/commits`);

      check.that("diff", diff.text.includes(`+++ b/${file}`), diff.text);
      check.same(
        "files",
        [[file, "added", 2]],
        list(files.body).map((one) => [
          at(one, "filename"),
          at(one, "status"),
          at(one, "additions"),
        ]),
      );
      check.same(
        "commits",
        [pull.sha],
        list(commits.body).map((one) => at(one, "sha")),
      );
    },
  },
  {
    name: "the pull request of a commit is found by the sha of its merge",
    restsOn: "Forgejo routers/api/v1/repo/commits.go GetCommitPullRequest",
    run: async (world, check) => {
      const pull = await world.newPull();
      await world.inRepo("lead", "POST", `/pulls/${pull.number}/merge`, { Do: "merge" });
      const merged = await world.inRepo("lead", "GET", `/pulls/${pull.number}`);
      const sha = String(at(merged.body, "merge_commit_sha"));
      const found = await world.inRepo("lead", "GET", `/commits/${sha}/pull`);

      check.same("number", pull.number, at(found.body, "number"));
    },
  },
  {
    name: "a file is read at a ref, in base64",
    restsOn: "Forgejo routers/api/v1/repo/file.go GetContents",
    run: async (world, check) => {
      const pull = await world.newPull({ files: { "dir/read.txt": "inhalt ü\n" } });
      const path = `/contents/dir/read.txt?ref=${encodeURIComponent(pull.branch)}`;
      const answer = await world.inRepo("guest", "GET", path);
      const text = Buffer.from(String(at(answer.body, "content")), "base64").toString("utf8");
      const missing = await world.inRepo("guest", "GET", "/contents/no/such.txt");

      check.same(
        "type",
        ["file", "base64"],
        [at(answer.body, "type"), at(answer.body, "encoding")],
      );
      check.same("content", "inhalt ü\n", text);
      check.same("missing", 404, missing.status);
    },
  },
];
