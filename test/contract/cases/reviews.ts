import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { type Answer, at, list } from "../forge-client.ts";
import type { Role, World } from "../world.ts";

/** Reviews in all their states. */
export const reviewCases: ContractCase[] = [
  {
    name: "an approval answers 200 with its commit, official for a writer, not for a reader",
    restsOn:
      "Forgejo routers/api/v1/repo/pull_review.go, models/issues/review.go IsOfficialReviewer",
    run: async (world, check) => {
      const pull = await world.newPull();
      const writer = await review(world, "reviewer", pull.number, { event: "APPROVED" });
      const reader = await review(world, "guest", pull.number, { event: "APPROVED" });

      check.same("status", 200, writer.status);
      check.same("state", "APPROVED", at(writer.body, "state"));
      check.same("commit_id", pull.sha, at(writer.body, "commit_id"));
      check.same("stale", false, at(writer.body, "stale"));
      check.same("dismissed", false, at(writer.body, "dismissed"));
      check.same("writer is official", true, at(writer.body, "official"));
      check.same("reader is not", [200, false], [reader.status, at(reader.body, "official")]);
    },
  },
  {
    name: "one's own pull request can be neither approved nor rejected, but commented",
    restsOn: "Forgejo routers/api/v1/repo/pull_review.go preparePullReviewType",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const approve = await review(world, "boss", number, { event: "APPROVED", body: "x" });
      const reject = await review(world, "boss", number, { event: "REQUEST_CHANGES", body: "x" });
      const comment = await review(world, "boss", number, { event: "COMMENT", body: "x" });

      check.same("approve", 422, approve.status);
      check.that(
        "says so",
        String(at(approve.body, "message")).includes("approve your own pull is not allowed"),
        approve.text,
      );
      check.same("reject", 422, reject.status);
      check.same("comment", [200, "COMMENT"], [comment.status, at(comment.body, "state")]);
    },
  },
  {
    name: "asking for changes needs a body, commenting a body or a line comment",
    restsOn: "Forgejo routers/api/v1/repo/pull_review.go preparePullReviewType",
    run: async (world, check) => {
      const { number } = await world.newPull({ files: { "lines.txt": "1\n2\n" } });
      const empty = await review(world, "reviewer", number, { event: "REQUEST_CHANGES" });
      const bare = await review(world, "reviewer", number, { event: "COMMENT" });
      const comments = [{ path: "lines.txt", body: "here", new_position: 2 }];
      const inline = await review(world, "reviewer", number, { event: "COMMENT", comments });

      check.same("changes without body", 422, empty.status);
      check.same("comment without anything", 422, bare.status);
      check.same(
        "comment with a line",
        [200, 1],
        [inline.status, at(inline.body, "comments_count")],
      );
    },
  },
  {
    name: "an unknown event (also GitHub's APPROVE) leaves a PENDING review that others do not see",
    restsOn:
      "Forgejo routers/api/v1/repo/pull_review.go preparePullReviewType, services/convert/pull_review.go",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const made = await review(world, "reviewer", number, { event: "APPROVE", body: "ok" });
      const own = await reviewsOf(world, "reviewer", number);
      const others = await reviewsOf(world, "lead", number);
      const removed = await world.inRepo(
        "reviewer",
        "DELETE",
        `/pulls/${number}/reviews/${at(made.body, "id")}`,
      );
      const left = await reviewsOf(world, "reviewer", number);
      const bare = await review(world, "reviewer", number, { event: "APPROVE" });

      check.same("answer", [200, "PENDING"], [made.status, at(made.body, "state")]);
      check.same(
        "its author sees it",
        ["PENDING"],
        own.map((one) => at(one, "state")),
      );
      check.same("others do not", [], others);
      check.same("its author deletes it", [204, []], [removed.status, left]);
      check.same("without a body", 422, bare.status);
    },
  },
  {
    name: "a pending review is submitted with an event",
    restsOn: "Forgejo routers/api/v1/repo/pull_review.go SubmitPullReview",
    run: async (world, check) => {
      const pull = await world.newPull();
      const made = await review(world, "reviewer", pull.number, {
        event: "PENDING",
        body: "draft",
      });
      const path = `/pulls/${pull.number}/reviews/${at(made.body, "id")}`;
      const done = await world.inRepo("reviewer", "POST", path, { event: "APPROVED", body: "ok" });
      const again = await world.inRepo("reviewer", "POST", path, { event: "APPROVED", body: "ok" });

      check.same("submitted", [200, "APPROVED"], [done.status, at(done.body, "state")]);
      check.same("same review", at(made.body, "id"), at(done.body, "id"));
      check.same("official", true, at(done.body, "official"));
      check.same("only once", 422, again.status);
    },
  },
  {
    name: "inline comments keep path, line, body and commit",
    restsOn: "Forgejo services/convert/pull_review.go ToPullReviewCommentList",
    run: async (world, check) => {
      const file = `${world.unique("inline")}.txt`;
      const pull = await world.newPull({ files: { [file]: "1\n2\n3\n" } });
      const made = await review(world, "reviewer", pull.number, {
        event: "REQUEST_CHANGES",
        body: "see the line",
        commit_id: pull.sha,
        comments: [{ path: file, body: "why?", new_position: 2, old_position: 0 }],
      });
      const path = `/pulls/${pull.number}/reviews/${at(made.body, "id")}/comments`;
      const [comment] = list((await world.inRepo("boss", "GET", path)).body);

      check.same("comments_count", 1, at(made.body, "comments_count"));
      check.same("path", file, at(comment, "path"));
      check.same("position", 2, at(comment, "position"));
      check.same("body", "why?", at(comment, "body"));
      check.same("review", at(made.body, "id"), at(comment, "pull_request_review_id"));
      check.same("author", world.people.reviewer.login, at(comment, "user.login"));
      check.that(
        "hunk",
        String(at(comment, "diff_hunk")).startsWith("@@"),
        at(comment, "diff_hunk"),
      );
    },
  },
  {
    name: "a new verdict dismisses the earlier ones of the same reviewer and makes them unofficial",
    restsOn: "Forgejo models/issues/review.go CreateReview, SubmitReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await review(world, "reviewer", number, { event: "REQUEST_CHANGES", body: "no" });
      await review(world, "lead", number, { event: "APPROVED" });
      await review(world, "reviewer", number, { event: "APPROVED" });
      const all = await reviewsOf(world, "guest", number);

      check.same(
        "state, dismissed, official",
        [
          ["REQUEST_CHANGES", true, false],
          ["APPROVED", false, true],
          ["APPROVED", false, true],
        ],
        all.map((one) => [at(one, "state"), at(one, "dismissed"), at(one, "official")]),
      );
    },
  },
  {
    name: "a new verdict with line comments makes the earlier ones unofficial but does not dismiss them",
    restsOn:
      "Forgejo models/issues/review.go SubmitReview: the pending review is updated, CreateReview is passed over",
    run: async (world, check) => {
      const { number } = await world.newPull({ files: { "two.txt": "1\n2\n" } });
      await review(world, "reviewer", number, { event: "APPROVED" });
      await review(world, "reviewer", number, {
        event: "REQUEST_CHANGES",
        body: "no",
        comments: [{ path: "two.txt", body: "here", new_position: 1 }],
      });
      const all = await reviewsOf(world, "guest", number);

      check.same(
        "state, dismissed, official",
        [
          ["APPROVED", false, false],
          ["REQUEST_CHANGES", false, true],
        ],
        all.map((one) => [at(one, "state"), at(one, "dismissed"), at(one, "official")]),
      );
    },
  },
  {
    name: "a COMMENT review neither dismisses nor replaces a verdict",
    restsOn: "Forgejo models/issues/review.go SubmitReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      await review(world, "reviewer", number, { event: "APPROVED" });
      await review(world, "reviewer", number, { event: "COMMENT", body: "by the way" });
      const all = await reviewsOf(world, "guest", number);

      check.same(
        "states",
        ["APPROVED", "COMMENT"],
        all.map((one) => at(one, "state")),
      );
      check.same(
        "the verdict stands",
        [false, true],
        [at(all[0], "dismissed"), at(all[0], "official")],
      );
    },
  },
  {
    name: "an approval goes stale when the head moves and keeps its commit",
    restsOn: "Forgejo services/pull/pull.go: MarkReviewsAsStale after a push that changes the diff",
    run: async (world, check) => {
      const pull = await world.newPull();
      await review(world, "reviewer", pull.number, { event: "APPROVED" });
      await world.push("boss", { branch: pull.branch, from: pull.branch });
      const stale = await eventually(async () => {
        const [one] = await reviewsOf(world, "guest", pull.number);
        return at(one, "stale") === true ? one : undefined;
      });

      check.same("stale", true, at(stale, "stale"));
      check.same("commit_id", pull.sha, at(stale, "commit_id"));
      check.same("dismissed", false, at(stale, "dismissed"));
      check.same("official", true, at(stale, "official"));
    },
  },
  {
    name: "a verdict for an older sha is stale from the start",
    restsOn: "Forgejo services/pull/review.go SubmitReview",
    run: async (world, check) => {
      const pull = await world.newPull();
      const sha = await world.push("boss", { branch: pull.branch, from: pull.branch });
      await eventually(async () => {
        const refs = await world.git("boss", [
          "ls-remote",
          "origin",
          `refs/pull/${pull.number}/head`,
        ]);
        return refs.stdout.startsWith(sha) ? true : undefined;
      });
      const form = { event: "APPROVED", commit_id: pull.sha };
      const made = await review(world, "reviewer", pull.number, form);

      check.same("stale", true, at(made.body, "stale"));
      check.same("commit_id", pull.sha, at(made.body, "commit_id"));
    },
  },
  {
    name: "only an administrator of the repository dismisses a review",
    restsOn: "Forgejo routers/api/v1/repo/pull_review.go dismissReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const made = await review(world, "reviewer", number, { event: "APPROVED" });
      const path = `/pulls/${number}/reviews/${at(made.body, "id")}/dismissals`;
      const byWriter = await world.inRepo("lead", "POST", path, { message: "no" });
      const byOwner = await world.inRepo("owner", "POST", path, { message: "outdated" });

      check.same("a writer", 403, byWriter.status);
      check.same("the owner", [200, true], [byOwner.status, at(byOwner.body, "dismissed")]);
    },
  },
  {
    name: "a submitted review is deleted by its author, not by another writer",
    restsOn: "Forgejo routers/api/v1/repo/pull_review.go DeletePullReview",
    run: async (world, check) => {
      const { number } = await world.newPull();
      const made = await review(world, "reviewer", number, { event: "COMMENT", body: "x" });
      const path = `/pulls/${number}/reviews/${at(made.body, "id")}`;

      check.same("another", 403, (await world.inRepo("lead", "DELETE", path)).status);
      check.same("its author", 204, (await world.inRepo("reviewer", "DELETE", path)).status);
      check.same("gone", 404, (await world.inRepo("reviewer", "GET", path)).status);
    },
  },
  {
    name: "the list of reviews is paginated, oldest first",
    restsOn: "Forgejo routers/api/v1/repo/pull_review.go ListPullReviews",
    run: async (world, check) => {
      const { number } = await world.newPull();
      for (const body of ["1", "2", "3"])
        await review(world, "reviewer", number, { event: "COMMENT", body });
      const path = `/pulls/${number}/reviews?limit=2`;
      const first = await world.inRepo("guest", "GET", `${path}&page=1`);
      const second = await world.inRepo("guest", "GET", `${path}&page=2`);

      check.same(
        "first",
        ["1", "2"],
        list(first.body).map((one) => at(one, "body")),
      );
      check.same(
        "second",
        ["3"],
        list(second.body).map((one) => at(one, "body")),
      );
      check.same("X-Total-Count", "3", first.headers.get("X-Total-Count"));
    },
  },
];

function review(world: World, role: Role, number: number, form: unknown): Promise<Answer> {
  return world.inRepo(role, "POST", `/pulls/${number}/reviews`, form);
}

async function reviewsOf(world: World, role: Role, number: number): Promise<unknown[]> {
  return list((await world.inRepo(role, "GET", `/pulls/${number}/reviews`)).body);
}
