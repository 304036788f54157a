import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { at, list } from "../forge-client.ts";
import type { World } from "../world.ts";

/** The timeline tells who did what and when. */
export const timelineCases: ContractCase[] = [
  {
    name: "an assignee set at creation has a timeline row with user, assignee and removed_assignee",
    restsOn: "Forgejo services/issue/issue.go NewIssue, AddAssigneeIfNotAssigned",
    run: async (world, check) => {
      const { boss, owner } = world.people;
      const number = await world.newIssue({ assignees: [boss.login] });
      const [row] = await rowsOf(world, number, "assignees");

      check.same("user", owner.login, at(row, "user.login"));
      check.same("assignee", boss.login, at(row, "assignee.login"));
      check.same("removed_assignee", false, at(row, "removed_assignee"));
    },
  },
  {
    name: "assigning and unassigning leave one row each, with who did it",
    restsOn: "Forgejo models/issues/issue_assignees.go toggleIssueAssignee",
    run: async (world, check) => {
      const { boss, lead } = world.people;
      const number = await world.newIssue();
      await world.inRepo("owner", "PATCH", `/issues/${number}`, { assignees: [boss.login] });
      await world.inRepo("lead", "PATCH", `/issues/${number}`, { assignees: [] });
      const rows = await rowsOf(world, number, "assignees");

      check.same("two", 2, rows.length);
      check.same(
        "removed",
        [false, true],
        rows.map((row) => at(row, "removed_assignee")),
      );
      check.same("who", lead.login, at(rows[1], "user.login"));
      check.same(
        "whom",
        [boss.login, boss.login],
        rows.map((row) => at(row, "assignee.login")),
      );
    },
  },
  {
    name: "labels, closing, reopening, a title and comments leave rows of their types in order",
    restsOn: "Forgejo models/issues/comment.go commentStrings",
    run: async (world, check) => {
      const number = await world.newIssue();
      const name = world.unique("label");
      await world.inRepo("owner", "POST", "/labels", { name, color: "#00ff00" });
      const path = `/issues/${number}`;
      await world.inRepo("owner", "POST", `${path}/labels`, { labels: [name] });
      await world.inRepo("owner", "POST", `${path}/comments`, { body: "hello" });
      await world.inRepo("owner", "PATCH", path, { title: "new title" });
      await world.inRepo("owner", "PATCH", path, { state: "closed" });
      await world.inRepo("owner", "PATCH", path, { state: "open" });
      const rows = list((await world.inRepo("guest", "GET", `${path}/timeline`)).body);

      check.same(
        "types",
        ["label", "comment", "change_title", "close", "reopen"],
        rows.map((row) => at(row, "type")),
      );
      check.same("label", [name, "1"], [at(rows[0], "label.name"), at(rows[0], "body")]);
      check.same("new_title", "new title", at(rows[2], "new_title"));
    },
  },
  {
    name: "the timeline is paginated oldest first, and a page beyond the end is empty or null",
    restsOn: "Forgejo routers/api/v1/repo/issue_comment.go ListIssueCommentsAndTimeline",
    run: async (world, check) => {
      const number = await world.newIssue();
      for (const body of ["1", "2", "3"])
        await world.inRepo("boss", "POST", `/issues/${number}/comments`, { body });
      const path = `/issues/${number}/timeline?limit=2`;
      const first = list((await world.inRepo("boss", "GET", `${path}&page=1`)).body);
      const second = list((await world.inRepo("boss", "GET", `${path}&page=2`)).body);
      const third = await world.inRepo("boss", "GET", `${path}&page=3`);

      check.same(
        "first page",
        ["1", "2"],
        first.map((row) => at(row, "body")),
      );
      check.same(
        "second page",
        ["3"],
        second.map((row) => at(row, "body")),
      );
      check.same("third page", [200, 0], [third.status, list(third.body).length]);
    },
  },
  {
    name: "inline comments of reviews are not in the timeline, so that a page may be short",
    restsOn:
      "Forgejo routers/api/v1/repo/issue_comment.go: CommentTypeCode is left out after paging",
    run: async (world, check) => {
      const pull = await world.newPull({ files: { "inline.txt": "1\n2\n" } });
      await world.inRepo("reviewer", "POST", `/pulls/${pull.number}/reviews`, {
        event: "COMMENT",
        body: "see inline",
        comments: [{ path: "inline.txt", body: "here", new_position: 1 }],
      });
      const all = list((await world.inRepo("boss", "GET", `/issues/${pull.number}/timeline`)).body);

      check.same(
        "no code row",
        false,
        all.some((row) => at(row, "type") === "code"),
      );
      check.same(
        "the review is there",
        1,
        all.filter((row) => at(row, "type") === "review").length,
      );
    },
  },
  {
    name: "a push to a pull request leaves a pull_push row with the commits",
    restsOn: "Forgejo services/pull/comment.go CreatePushPullComment",
    run: async (world, check) => {
      const pull = await world.newPull();
      const sha = await world.push("boss", { branch: pull.branch, from: pull.branch });
      const row = await eventually(async () => (await rowsOf(world, pull.number, "pull_push"))[0]);

      check.same("user", world.people.boss.login, at(row, "user.login"));
      check.that("names the commit", String(at(row, "body")).includes(sha), at(row, "body"));
    },
  },
  {
    name: "asking for a review leaves a row with who asked whom, and its removal another",
    restsOn: "Forgejo models/issues/review.go AddReviewRequest, RemoveReviewRequest",
    run: async (world, check) => {
      const pull = await world.newPull();
      const { boss, reviewer } = world.people;
      const body = { reviewers: [reviewer.login] };
      const path = `/pulls/${pull.number}/requested_reviewers`;
      await world.inRepo("boss", "POST", path, body);
      await world.inRepo("boss", "DELETE", path, body);
      const rows = await rowsOf(world, pull.number, "review_request");

      check.same("two", 2, rows.length);
      check.same("who", boss.login, at(rows[0], "user.login"));
      check.same("whom", reviewer.login, at(rows[0], "assignee.login"));
      check.same(
        "removed",
        [false, true],
        rows.map((row) => at(row, "removed_assignee")),
      );
    },
  },
  {
    name: "a merge leaves a merge_pull row, and the issue it closes a close row by the merger or author",
    restsOn:
      "Forgejo services/pull/merge.go handleCloseCrossReferences (the doer differs by version)",
    run: async (world, check) => {
      const issue = await world.newIssue();
      const pull = await world.newPull({ body: `Closes #${issue}` });
      await world.inRepo("lead", "POST", `/pulls/${pull.number}/merge`, { Do: "merge" });
      const merged = await eventually(
        async () => (await rowsOf(world, pull.number, "merge_pull"))[0],
      );
      const closed = await eventually(async () => (await rowsOf(world, issue, "close"))[0]);

      check.same("merger", world.people.lead.login, at(merged, "user.login"));
      const { lead, boss } = world.people;
      check.oneOf("closed by", [lead.login, boss.login], at(closed, "user.login"));
    },
  },
];

async function rowsOf(world: World, number: number, type: string): Promise<unknown[]> {
  const rows = list((await world.inRepo("guest", "GET", `/issues/${number}/timeline`)).body);
  return rows.filter((row) => at(row, "type") === type);
}
