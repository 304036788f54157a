import type { ContractCase } from "../contract-case.ts";
import { type Answer, at, list } from "../forge-client.ts";
import type { Role, World } from "../world.ts";

/** Asking for reviews. */
export const reviewRequestCases: ContractCase[] = [
  {
    name: "a request is a REQUEST_REVIEW row and shows in requested_reviewers",
    restsOn: "Forgejo models/issues/review.go AddReviewRequest",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const made = await request(world, "boss", number);
      const again = await request(world, "boss", number);
      const rows = await rowsOf(world, number);
      const pull = await world.inRepo("guest", "GET", `/pulls/${number}`);

      check.same("status", 201, made.status);
      check.same("asked twice is asked once", [201, []], [again.status, list(again.body)]);
      check.same("rows", [["REQUEST_REVIEW", world.people.reviewer.login]], rows);
      check.same(
        "requested_reviewers",
        world.people.reviewer.login,
        at(pull.body, "requested_reviewers.0.login"),
      );
    },
  },
  {
    name: "submitting a verdict removes the reviewer's REQUEST_REVIEW row",
    restsOn: "Forgejo models/issues/review.go CreateReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await request(world, "boss", number);
      await submit(world, number, { event: "APPROVED" });

      check.same("rows", [["APPROVED", world.people.reviewer.login]], await rowsOf(world, number));
    },
  },
  {
    name: "a verdict with line comments removes the request, too, though it goes through PENDING",
    restsOn: "Forgejo models/issues/review.go SubmitReview (fix of issue 12243)",
    run: async (world, check) => {
      const { number } = await world.newPull({ files: { "asked.txt": "1\n" } });
      await request(world, "boss", number);
      const comments = [{ path: "asked.txt", body: "here", new_position: 1 }];
      await submit(world, number, { event: "REQUEST_CHANGES", body: "no", comments });

      check.same(
        "rows",
        [["REQUEST_CHANGES", world.people.reviewer.login]],
        await rowsOf(world, number),
      );
    },
  },
  {
    name: "a COMMENT without line comments also removes the request",
    restsOn: "Forgejo models/issues/review.go CreateReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await request(world, "boss", number);
      await submit(world, number, { event: "COMMENT", body: "hm" });

      check.same("rows", [["COMMENT", world.people.reviewer.login]], await rowsOf(world, number));
    },
  },
  {
    name: "asking again after a verdict makes a new row and the old verdict unofficial",
    restsOn: "Forgejo models/issues/review.go AddReviewRequest",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await submit(world, number, { event: "APPROVED" });
      const made = await request(world, "boss", number);
      const all = list((await world.inRepo("guest", "GET", `/pulls/${number}/reviews`)).body);

      check.same("status", 201, made.status);
      check.same(
        "states",
        ["APPROVED", "REQUEST_REVIEW"],
        all.map((one) => at(one, "state")),
      );
      check.same(
        "official",
        [false, true],
        all.map((one) => at(one, "official")),
      );
      check.same("not dismissed", false, at(all[0], "dismissed"));
    },
  },
  {
    name: "requested_reviewers still lists who has given a verdict",
    restsOn:
      "Forgejo models/issues/review_list.go GetReviewsByIssueID, models/issues/pull.go LoadRequestedReviewers",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await submit(world, number, { event: "APPROVED" });
      const pull = await world.inRepo("guest", "GET", `/pulls/${number}`);

      check.same(
        "requested_reviewers",
        [world.people.reviewer.login],
        list(at(pull.body, "requested_reviewers")).map((one) => at(one, "login")),
      );
    },
  },
  {
    name: "a request is withdrawn with 204",
    restsOn: "Forgejo models/issues/review.go RemoveReviewRequest",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await request(world, "boss", number);
      const path = `/pulls/${number}/requested_reviewers`;
      const reviewers = [world.people.reviewer.login];
      const answer = await world.inRepo("boss", "DELETE", path, { reviewers });

      check.same("status", 204, answer.status);
      check.same("rows", [], await rowsOf(world, number));
    },
  },
  {
    name: "the author cannot be asked (422), an unknown account is 404, one that cannot read 422",
    restsOn: "Forgejo services/issue/assignee.go IsValidReviewRequest",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const ask = async (login: string): Promise<number> =>
        (await request(world, "owner", number, login)).status;

      check.same("author", 422, await ask(world.people.boss.login));
      check.same("unknown", 404, await ask(world.unique("nobody")));
      check.same("outsider", 422, await ask(world.people.outsider.login));
    },
  },
  {
    name: "an author without write access may ask a reviewer, first and again",
    restsOn: "Forgejo services/issue/assignee.go CanDoerChangeReviewRequests",
    run: async (world, check) => {
      const pull = await world.newPull({ author: "guest" });
      const first = await request(world, "guest", pull.number);
      await submit(world, pull.number, { event: "REQUEST_CHANGES", body: "no" });
      const again = await request(world, "guest", pull.number);

      check.same("first", 201, first.status);
      check.same("again", [201, 1], [again.status, list(again.body).length]);
    },
  },
  {
    name: "on a closed pull request a second review cannot be asked for",
    restsOn:
      "Forgejo models/issues/review.go ErrReviewRequestOnClosedPR: only for who has reviewed",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await submit(world, number, { event: "APPROVED" });
      await world.inRepo("boss", "PATCH", `/pulls/${number}`, { state: "closed" });

      check.same("status", 403, (await request(world, "boss", number)).status);
    },
  },
  {
    name: "what CODEOWNERS of the default branch asks for has the author as doer and comes before opened",
    restsOn:
      "Forgejo services/issue/pull.go PullRequestCodeOwnersReview, services/issue/assignee.go ReviewRequestNotify",
    run: async (world, check) => {
      const rule = `.*\\.owned @${world.people.reviewer.login}\n`;
      await world.push("owner", { branch: "main", files: { CODEOWNERS: rule }, fresh: true });
      const branch = world.unique("topic");
      await world.push("boss", { branch, files: { "some.owned": "x\n" } });
      const form = { head: branch, base: "main", title: "owned" };
      const made = await world.inRepo("boss", "POST", "/pulls", form);
      const number = Number(at(made.body, "number"));
      const asked = await world.event({ type: "pull_request_review_request", number });
      const opened = await world.event({ type: "pull_request", action: "opened", number });
      const timeline = list(
        (await world.inRepo("guest", "GET", `/issues/${number}/timeline`)).body,
      );
      const row = timeline.find((one) => at(one, "type") === "review_request");

      check.same("sender", world.people.boss.login, at(asked?.body, "sender.login"));
      check.same(
        "reviewer",
        world.people.reviewer.login,
        at(asked?.body, "requested_reviewer.login"),
      );
      check.same("row by the author", world.people.boss.login, at(row, "user.login"));
      const { events } = world.listener;
      check.that(
        "before opened",
        asked !== undefined &&
          opened !== undefined &&
          events.indexOf(asked) < events.indexOf(opened),
        [asked?.eventType, opened?.eventType],
      );
    },
  },
];

function request(world: World, role: Role, number: number, login?: string): Promise<Answer> {
  return world.inRepo(role, "POST", `/pulls/${number}/requested_reviewers`, {
    reviewers: [login ?? world.people.reviewer.login],
  });
}

function submit(world: World, number: number, form: unknown): Promise<Answer> {
  return world.inRepo("reviewer", "POST", `/pulls/${number}/reviews`, form);
}

async function rowsOf(world: World, number: number): Promise<unknown[]> {
  const rows = list((await world.inRepo("guest", "GET", `/pulls/${number}/reviews`)).body);
  return rows.map((one) => [at(one, "state"), at(one, "user.login")]);
}
