import type { ContractCase } from "../contract-case.ts";
import { at, list } from "../forge-client.ts";
import type { ReceivedEvent } from "../hook-listener.ts";
import type { World } from "../world.ts";

/** Which events come for what, in which order, and the fields that are read. */
export const webhookShapeCases: ContractCase[] = [
  {
    name: "an issue made with an assignee sends assigned before opened, both with the assignee",
    restsOn: "Forgejo services/issue/issue.go NewIssue",
    run: async (world, check) => {
      const { boss } = world.people;
      const number = await world.newIssue({ assignees: [boss.login] });
      const opened = await world.event({ type: "issues", action: "opened", number });
      const assigned = await world.event({ type: "issue_assign", action: "assigned", number });

      check.that("order", isBefore(world, assigned, opened), [assigned?.action, opened?.action]);
      for (const event of [assigned, opened]) {
        check.same("assignee", boss.login, at(event?.body, "issue.assignees.0.login"));
        check.same("repository", world.fullName, at(event?.body, "repository.full_name"));
        check.same("sender", world.people.owner.login, at(event?.body, "sender.login"));
      }
    },
  },
  {
    name: "assigning two accounts sends one event each; unassigning all leaves assignees null",
    restsOn: "Forgejo services/issue/assignee.go ToggleAssigneeWithNotify",
    run: async (world, check) => {
      const { boss, lead } = world.people;
      const number = await world.newIssue();
      const path = `/issues/${number}`;
      await world.inRepo("owner", "PATCH", path, { assignees: [boss.login, lead.login] });
      await world.inRepo("owner", "PATCH", path, { assignees: [] });
      await world.inRepo("owner", "PATCH", path, { state: "closed" });
      await world.event({ type: "issues", action: "closed", number });
      const of = (action: string): ReceivedEvent[] =>
        world.listener.events.filter((one) => one.number === number && one.action === action);

      check.same("assigned", 2, of("assigned").length);
      check.same("unassigned", 2, of("unassigned").length);
      check.same("nobody left", null, at(of("unassigned").at(-1)?.body, "issue.assignees"));
    },
  },
  {
    name: "a label change sends label_updated with the labels after it",
    restsOn: "Forgejo services/webhook/notifier.go IssueChangeLabels",
    run: async (world, check) => {
      const number = await world.newIssue();
      const name = world.unique("label");
      await world.inRepo("owner", "POST", "/labels", { name, color: "#123456" });
      await world.inRepo("owner", "POST", `/issues/${number}/labels`, { labels: [name] });
      const event = await world.event({ type: "issue_label", number });

      check.same("action", "label_updated", event?.action);
      check.same("event", "issues", event?.headers["x-forgejo-event"]);
      check.same(
        "labels",
        [name],
        list(at(event?.body, "issue.labels")).map((one) => at(one, "name")),
      );
    },
  },
  {
    name: "a comment sends created with comment, issue and is_pull false",
    restsOn: "Forgejo services/webhook/notifier.go CreateIssueComment",
    run: async (world, check) => {
      const number = await world.newIssue();
      const body = { body: "please <look>" };
      const made = await world.inRepo("guest", "POST", `/issues/${number}/comments`, body);
      const event = await world.event({ type: "issue_comment", action: "created", number });

      check.same("comment id", at(made.body, "id"), at(event?.body, "comment.id"));
      check.same("comment body", "please <look>", at(event?.body, "comment.body"));
      check.same("is_pull", false, at(event?.body, "is_pull"));
      check.same("issue", number, at(event?.body, "issue.number"));
      check.same("author", world.people.guest.login, at(event?.body, "comment.user.login"));
    },
  },
  {
    name: "an edited title or body says from what",
    restsOn: "Forgejo services/webhook/notifier.go IssueChangeTitle, IssueChangeContent",
    run: async (world, check) => {
      const number = await world.newIssue({ body: "before" });
      await world.inRepo("owner", "PATCH", `/issues/${number}`, { body: "after" });
      const event = await world.event({ type: "issues", action: "edited", number });

      check.same("changes.body.from", "before", at(event?.body, "changes.body.from"));
      check.same("issue.body", "after", at(event?.body, "issue.body"));
    },
  },
  {
    name: "a new branch sends create and then push, with full refs and a zero before",
    restsOn: "Forgejo services/repository/push.go",
    run: async (world, check) => {
      const branch = world.unique("fresh");
      const sha = await world.push("boss", { branch });
      const ref = `refs/heads/${branch}`;
      const push = await world.event({ type: "push", ref });
      const create = await world.event({ type: "create", ref });

      check.that("order", isBefore(world, create, push), [create?.ref, push?.ref]);
      check.same(
        "create",
        ["branch", sha],
        [at(create?.body, "ref_type"), at(create?.body, "sha")],
      );
      check.same("before", "0".repeat(40), at(push?.body, "before"));
      check.same("after", sha, at(push?.body, "after"));
      check.same("pusher", world.people.boss.login, at(push?.body, "pusher.login"));
      check.same("total_commits", 1, at(push?.body, "total_commits"));
    },
  },
  {
    name: "deleting a branch sends delete, no push, and then closed for its pull request",
    restsOn:
      "Forgejo services/repository/branch.go DeleteBranch, services/pull/pull.go CloseBranchPulls",
    run: async (world, check) => {
      const pull = await world.newPull();
      const ref = `refs/heads/${pull.branch}`;
      await world.event({ type: "push", ref });
      await world.inRepo("lead", "DELETE", `/branches/${encodeURIComponent(pull.branch)}`);
      const closed = await world.event({
        type: "pull_request",
        action: "closed",
        number: pull.number,
      });
      const deleted = await world.event({ type: "delete", ref });

      check.that("order", isBefore(world, deleted, closed), [deleted?.ref, closed?.action]);
      check.same("sender", world.people.lead.login, at(deleted?.body, "sender.login"));
      check.same("merged", false, at(closed?.body, "pull_request.merged"));
      check.same(
        "head.ref",
        `refs/pull/${pull.number}/head`,
        at(closed?.body, "pull_request.head.ref"),
      );
      check.same(
        "one push only",
        1,
        world.listener.events.filter((one) => one.eventType === "push" && one.ref === ref).length,
      );
    },
  },
  {
    name: "a pull request sends opened and no issue event",
    restsOn: "Forgejo services/webhook/notifier.go NewPullRequest",
    run: async (world, check) => {
      const pull = await world.newPull();
      const event = await world.event({
        type: "pull_request",
        action: "opened",
        number: pull.number,
      });

      check.same("head.sha", pull.sha, at(event?.body, "pull_request.head.sha"));
      check.same("head.repo", world.fullName, at(event?.body, "pull_request.head.repo.full_name"));
      check.same("review", null, at(event?.body, "review"));
      check.same(
        "no issues event",
        false,
        world.listener.events.some(
          (one) => one.number === pull.number && one.eventType === "issues",
        ),
      );
    },
  },
  {
    name: "a push to a pull request sends synchronized with the new head",
    restsOn: "Forgejo services/pull/pull.go, services/webhook/notifier.go PullRequestSynchronized",
    run: async (world, check) => {
      const pull = await world.newPull();
      const sha = await world.push("boss", { branch: pull.branch, from: pull.branch });
      const event = await world.event({ type: "pull_request_sync", number: pull.number });

      check.same("action", "synchronized", event?.action);
      check.same("event", "pull_request", event?.headers["x-forgejo-event"]);
      check.same("head.sha", sha, at(event?.body, "pull_request.head.sha"));
      check.same("no before", undefined, at(event?.body, "before"));
    },
  },
  {
    name: "a request names the reviewer; asking oneself sends nothing",
    restsOn: "Forgejo services/issue/assignee.go ReviewRequest",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const path = `/pulls/${number}/requested_reviewers`;
      await world.inRepo("lead", "POST", path, { reviewers: [world.people.lead.login] });
      await world.inRepo("lead", "POST", path, { reviewers: [world.people.reviewer.login] });
      const event = await world.event({ type: "pull_request_review_request", number });

      check.same("action", "review_requested", event?.action);
      check.same(
        "the first is the reviewer",
        world.people.reviewer.login,
        at(event?.body, "requested_reviewer.login"),
      );
      check.same("sender", world.people.lead.login, at(event?.body, "sender.login"));
    },
  },
  {
    name: "a review sends reviewed with its type and text, without id, sender is the reviewer",
    restsOn: "Forgejo services/webhook/notifier.go PullRequestReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      for (const [event, type, header] of [
        ["APPROVED", "pull_request_review_approved", "pull_request_approved"],
        ["REQUEST_CHANGES", "pull_request_review_rejected", "pull_request_rejected"],
        ["COMMENT", "pull_request_review_comment", "pull_request_comment"],
      ] as const) {
        await world.inRepo("reviewer", "POST", `/pulls/${number}/reviews`, { event, body: event });
        const seen = await world.event({ type, number });

        check.same(`${event}: action`, "reviewed", seen?.action);
        check.same(`${event}: event`, header, seen?.headers["x-forgejo-event"]);
        check.same(`${event}: review`, { type, content: event }, at(seen?.body, "review"));
        check.same(`${event}: sender`, world.people.reviewer.login, at(seen?.body, "sender.login"));
      }
    },
  },
  {
    name: "a merge sends closed with merged true, then closed for the issue with the merge commit",
    restsOn: "Forgejo services/pull/merge.go Merge, handleCloseCrossReferences",
    run: async (world, check) => {
      const issue = await world.newIssue();
      const pull = await world.newPull({ body: `Closes #${issue}` });
      await world.inRepo("lead", "POST", `/pulls/${pull.number}/merge`, {
        Do: "merge",
        delete_branch_after_merge: true,
      });
      const closed = await world.event({
        type: "pull_request",
        action: "closed",
        number: pull.number,
      });
      const done = await world.event({ type: "issues", action: "closed", number: issue });
      const { lead, boss } = world.people;

      check.that("order", isBefore(world, closed, done), [closed?.action, done?.action]);
      check.same("merged", true, at(closed?.body, "pull_request.merged"));
      check.same("head.ref is intact", pull.branch, at(closed?.body, "pull_request.head.ref"));
      check.same("sender", lead.login, at(closed?.body, "sender.login"));
      check.oneOf("the issue's sender", [lead.login, boss.login], at(done?.body, "sender.login"));
      check.same(
        "commit_id",
        at(closed?.body, "pull_request.merge_commit_sha"),
        at(done?.body, "commit_id"),
      );
    },
  },
  {
    name: "the payload of an issue shows its author's mail only when the author is the sender",
    restsOn: "Forgejo services/convert/user.go",
    run: async (world, check) => {
      const number = await world.newIssue();
      const event = await world.event({ type: "issues", action: "opened", number });

      check.that(
        "noreply for the sender",
        String(at(event?.body, "sender.email")).includes("noreply"),
        at(event?.body, "sender.email"),
      );
      check.same("no type", undefined, at(event?.body, "sender.type"));
      check.same("id", world.people.owner.id, at(event?.body, "sender.id"));
    },
  },
];

function isBefore(
  world: World,
  first: ReceivedEvent | undefined,
  second: ReceivedEvent | undefined,
): boolean {
  if (first === undefined || second === undefined) return false;
  return world.listener.events.indexOf(first) < world.listener.events.indexOf(second);
}
