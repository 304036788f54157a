import type { ContractCase } from "../contract-case.ts";
import { at, list } from "../forge-client.ts";

/** Issues, their comments and reactions. */
export const issueCases: ContractCase[] = [
  {
    name: "a new issue has no assignees as null, no labels as an empty list and no pull request",
    restsOn: "Forgejo services/convert/issue.go",
    run: async (world, check) => {
      const number = await world.newIssue({ body: "text" });
      const { status, body } = await world.inRepo("guest", "GET", `/issues/${number}`);

      check.same("status", 200, status);
      check.same("assignees", null, at(body, "assignees"));
      check.same("assignee", null, at(body, "assignee"));
      check.same("labels", [], at(body, "labels"));
      check.same("pull_request", null, at(body, "pull_request"));
      check.same("state", "open", at(body, "state"));
      check.same("author", world.people.owner.login, at(body, "user.login"));
      check.same("repository", world.fullName, at(body, "repository.full_name"));
      check.that(
        "times in whole seconds, UTC or offset",
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/.test(String(at(body, "created_at"))),
        at(body, "created_at"),
      );
    },
  },
  {
    name: "an unknown issue is 404",
    restsOn: "Forgejo routers/api/v1/repo/issue.go GetIssue",
    run: async (world, check) => {
      check.same("status", 404, (await world.inRepo("boss", "GET", "/issues/999999")).status);
    },
  },
  {
    name: "PATCH of an issue answers 201 and replaces all assignees",
    restsOn: "Forgejo routers/api/v1/repo/issue.go EditIssue",
    run: async (world, check) => {
      const number = await world.newIssue();
      const { boss, lead } = world.people;
      const path = `/issues/${number}`;
      const first = await world.inRepo("owner", "PATCH", path, { assignees: [boss.login] });
      const second = await world.inRepo("owner", "PATCH", path, { assignees: [lead.login] });
      const third = await world.inRepo("owner", "PATCH", path, { title: "another" });
      const last = await world.inRepo("owner", "PATCH", path, { assignees: [] });

      check.same("status", 201, first.status);
      check.same("first", [boss.login], logins(at(first.body, "assignees")));
      check.same("second", [lead.login], logins(at(second.body, "assignees")));
      check.same("untouched by a title", [lead.login], logins(at(third.body, "assignees")));
      check.same("nobody is null", null, at(last.body, "assignees"));
    },
  },
  {
    name: "an unknown assignee is refused with 422",
    restsOn: "Forgejo routers/api/v1/repo/issue.go EditIssue",
    run: async (world, check) => {
      const number = await world.newIssue();
      const edit = { assignees: [world.unique("nobody")] };

      check.same(
        "status",
        422,
        (await world.inRepo("owner", "PATCH", `/issues/${number}`, edit)).status,
      );
    },
  },
  {
    name: "a reader may open an issue; the assignees he names are dropped without an error",
    restsOn: "Forgejo routers/api/v1/repo/issue.go CreateIssue",
    run: async (world, check) => {
      const answer = await world.inRepo("guest", "POST", "/issues", {
        title: "from a reader",
        assignees: [world.people.boss.login],
      });

      check.same("status", 201, answer.status);
      check.same("assignees", null, at(answer.body, "assignees"));
    },
  },
  {
    name: "a reader may not edit another's issue",
    restsOn: "Forgejo routers/api/v1/repo/issue.go EditIssue",
    run: async (world, check) => {
      const number = await world.newIssue();
      const answer = await world.inRepo("guest", "PATCH", `/issues/${number}`, { title: "x" });

      check.same("status", 403, answer.status);
    },
  },
  {
    name: "closing and reopening set state and closed_at",
    restsOn: "Forgejo services/issue/status.go",
    run: async (world, check) => {
      const number = await world.newIssue();
      const path = `/issues/${number}`;
      const closed = await world.inRepo("owner", "PATCH", path, { state: "closed" });
      const open = await world.inRepo("owner", "PATCH", path, { state: "open" });

      check.same("closed", "closed", at(closed.body, "state"));
      check.same("closed_at is text", "string", typeof at(closed.body, "closed_at"));
      check.same("open", ["open", null], [at(open.body, "state"), at(open.body, "closed_at")]);
    },
  },
  {
    name: "a comment answers 201, is counted and comes back with its author and id",
    restsOn: "Forgejo routers/api/v1/repo/issue_comment.go CreateIssueComment",
    run: async (world, check) => {
      const number = await world.newIssue();
      const path = `/issues/${number}/comments`;
      const made = await world.inRepo("guest", "POST", path, { body: "hello <b> & co" });
      const all = list((await world.inRepo("boss", "GET", path)).body);
      const issue = await world.inRepo("boss", "GET", `/issues/${number}`);

      check.same("status", 201, made.status);
      check.same("one", 1, all.length);
      check.same("id", at(made.body, "id"), at(all[0], "id"));
      check.same("body", "hello <b> & co", at(all[0], "body"));
      check.same("author id", world.people.guest.id, at(all[0], "user.id"));
      check.same("counted", 1, at(issue.body, "comments"));
    },
  },
  {
    name: "the list of comments is not paginated: limit is ignored, all come",
    restsOn: "Forgejo routers/api/v1/repo/issue_comment.go ListIssueComments",
    run: async (world, check) => {
      const number = await world.newIssue();
      const path = `/issues/${number}/comments`;
      for (const body of ["1", "2", "3"]) await world.inRepo("boss", "POST", path, { body });
      const answer = await world.inRepo("boss", "GET", `${path}?limit=1&page=1`);

      check.same(
        "all three",
        ["1", "2", "3"],
        list(answer.body).map((one) => at(one, "body")),
      );
    },
  },
  {
    name: "comments with since are those updated since then, also an old one that was edited",
    restsOn: "Forgejo models/issues/comment.go FindCommentsOptions.Since",
    run: async (world, check) => {
      const number = await world.newIssue();
      const path = `/issues/${number}/comments`;
      const made = await world.inRepo("boss", "POST", path, { body: "old" });
      await world.nextSecond();
      const none = await world.inRepo("boss", "GET", `${path}?since=${later(made.body)}`);
      const patched = await world.inRepo(
        "boss",
        "PATCH",
        `/issues/comments/${at(made.body, "id")}`,
        { body: "new" },
      );
      const edited = await world.inRepo("boss", "GET", `${path}?since=${later(made.body)}`);

      check.same("none since later", [], list(none.body));
      check.same("PATCH", 200, patched.status);
      check.same(
        "the edited one",
        ["new"],
        list(edited.body).map((one) => at(one, "body")),
      );
      check.that(
        "updated_at moved",
        at(edited.body, "0.updated_at") !== at(edited.body, "0.created_at"),
        at(edited.body, "0.updated_at"),
      );
    },
  },
  {
    name: "a malformed since is refused with 422",
    restsOn: "Forgejo services/context GetQueryBeforeSince",
    run: async (world, check) => {
      const number = await world.newIssue();
      const answer = await world.inRepo(
        "boss",
        "GET",
        `/issues/${number}/comments?since=yesterday`,
      );

      check.same("status", 422, answer.status);
    },
  },
  {
    name: "only its author or a writer may edit a comment",
    restsOn: "Forgejo routers/api/v1/repo/issue_comment.go editIssueComment",
    run: async (world, check) => {
      const number = await world.newIssue();
      const made = await world.inRepo("boss", "POST", `/issues/${number}/comments`, { body: "x" });
      const path = `/issues/comments/${at(made.body, "id")}`;

      check.same(
        "a reader",
        403,
        (await world.inRepo("guest", "PATCH", path, { body: "y" })).status,
      );
      check.same(
        "unknown",
        404,
        (await world.inRepo("boss", "PATCH", "/issues/comments/99999999", { body: "y" })).status,
      );
    },
  },
  {
    name: "a reaction is 201 when new and 200 when it exists; unknown ones are refused",
    restsOn: "Forgejo routers/api/v1/repo/issue_reaction.go",
    run: async (world, check) => {
      const number = await world.newIssue();
      const made = await world.inRepo("boss", "POST", `/issues/${number}/comments`, { body: "x" });
      for (const path of [
        `/issues/${number}/reactions`,
        `/issues/comments/${at(made.body, "id")}/reactions`,
      ]) {
        const first = await world.inRepo("boss", "POST", path, { content: "eyes" });
        const again = await world.inRepo("boss", "POST", path, { content: "eyes" });
        const unknown = await world.inRepo("boss", "POST", path, { content: "shrug" });
        const all = await world.inRepo("boss", "GET", path);

        check.same("new", [201, "eyes"], [first.status, at(first.body, "content")]);
        check.same("again", 200, again.status);
        check.same("unknown", 403, unknown.status);
        check.same(
          "who",
          [world.people.boss.login],
          list(all.body).map((one) => at(one, "user.login")),
        );
      }
    },
  },
];

function logins(users: unknown): unknown[] {
  return list(users).map((one) => at(one, "login"));
}

function later(comment: unknown): string {
  const ms = Date.parse(String(at(comment, "updated_at")));
  return new Date(ms + 1000).toISOString();
}
