import type { ContractCase } from "../contract-case.ts";
import { eventually } from "../eventually.ts";
import { at, list } from "../forge-client.ts";
import type { Role, World } from "../world.ts";

/** The search that a sweep asks, and updated_at, which it trusts. */
export const searchCases: ContractCase[] = [
  {
    name: "assigned=true finds what is assigned to the caller, issues with their repository",
    restsOn: "Forgejo routers/api/v1/repo/issue.go SearchIssues",
    run: async (world, check) => {
      const number = await world.newIssue({ assignees: [world.people.lead.login] });
      const found = await foundSoon(world, "lead", "assigned=true&type=issues", number);

      check.same("number", number, at(found, "number"));
      check.same("repository", world.fullName, at(found, "repository.full_name"));
      check.same(
        "not for another",
        undefined,
        await foundNow(world, "reviewer", "assigned=true", number),
      );
    },
  },
  {
    name: "created=true, mentioned=true and labels find theirs",
    restsOn: "Forgejo routers/api/v1/repo/issue.go SearchIssues",
    run: async (world, check) => {
      const name = world.unique("label");
      await world.inRepo("owner", "POST", "/labels", { name, color: "#00aabb" });
      const body = `ping @${world.people.lead.login}`;
      const number = await world.newIssue({ body }, "boss");
      await world.inRepo("owner", "POST", `/issues/${number}/labels`, { labels: [name] });

      for (const [role, query] of [
        ["boss", "created=true"],
        ["lead", "mentioned=true"],
        ["guest", `labels=${name}`],
      ] as const)
        check.same(query, number, at(await foundSoon(world, role, query, number), "number"));
    },
  },
  {
    name: "a mention in a later comment counts, too",
    restsOn: "Forgejo models/issues/issue_update.go FindAndUpdateIssueMentions",
    run: async (world, check) => {
      const number = await world.newIssue();
      const body = `@${world.people.reviewer.login} what do you think?`;
      await world.inRepo("owner", "POST", `/issues/${number}/comments`, { body });
      const found = await foundSoon(world, "reviewer", "mentioned=true", number);

      check.same("number", number, at(found, "number"));
    },
  },
  {
    name: "review_requested=true finds the pull request until the review is submitted",
    restsOn: "Forgejo modules/indexer/issues, models/issues/review.go",
    run: async (world, check) => {
      const pull = await world.newPull();
      const path = `/pulls/${pull.number}`;
      const reviewers = [world.people.reviewer.login];
      await world.inRepo("boss", "POST", `${path}/requested_reviewers`, { reviewers });
      const query = "review_requested=true&type=pulls";
      const found = await foundSoon(world, "reviewer", query, pull.number);
      await world.inRepo("reviewer", "POST", `${path}/reviews`, { event: "APPROVED", body: "ok" });
      const gone = await eventually(async () =>
        (await foundNow(world, "reviewer", query, pull.number)) === undefined ? true : undefined,
      );

      check.same("is a pull request", false, at(found, "pull_request.merged"));
      check.same("gone after the review", true, gone);
    },
  },
  {
    name: "the state defaults to open; state=all also finds closed ones",
    restsOn: "Forgejo routers/api/v1/repo/issue.go SearchIssues",
    run: async (world, check) => {
      const number = await world.newIssue({ assignees: [world.people.boss.login] });
      await world.inRepo("owner", "PATCH", `/issues/${number}`, { state: "closed" });
      const all = await eventually(async () => {
        const found = await foundNow(world, "boss", "assigned=true&state=all", number);
        return at(found, "state") === "closed" ? found : undefined;
      });

      check.same("state=all", "closed", at(all, "state"));
      check.same("default", undefined, await foundNow(world, "boss", "assigned=true", number));
    },
  },
  {
    name: "since means updated since, for closed ones as well",
    restsOn: "Forgejo routers/api/v1/repo/issue.go UpdatedAfterUnix",
    run: async (world, check) => {
      const number = await world.newIssue({ assignees: [world.people.boss.login] });
      await world.inRepo("owner", "PATCH", `/issues/${number}`, { state: "closed" });
      const issue = await world.inRepo("owner", "GET", `/issues/${number}`);
      const updated = Date.parse(String(at(issue.body, "updated_at")));
      const query = (ms: number): string =>
        `assigned=true&state=all&since=${encodeURIComponent(new Date(ms).toISOString())}`;
      const found = await foundSoon(world, "boss", query(updated - 1000), number);

      check.same("since before", number, at(found, "number"));
      check.same(
        "since after",
        undefined,
        await foundNow(world, "boss", query(updated + 60_000), number),
      );
    },
  },
  {
    name: "a page tells the total and the next page",
    restsOn: "Forgejo services/context SetLinkHeader, SetTotalCountHeader",
    run: async (world, check) => {
      const numbers = [await world.newIssue({}, "reviewer"), await world.newIssue({}, "reviewer")];
      await foundSoon(world, "reviewer", "created=true", numbers[1] ?? 0);
      const answer = await world.as("reviewer", "GET", "/repos/issues/search?created=true&limit=1");

      check.same("one", 1, list(answer.body).length);
      check.that(
        "X-Total-Count",
        Number(answer.headers.get("X-Total-Count")) >= 2,
        answer.headers.get("X-Total-Count"),
      );
      check.that(
        "Link has next",
        (answer.headers.get("Link") ?? "").includes('rel="next"'),
        answer.headers.get("Link"),
      );
    },
  },
  {
    name: "limit is cut to 50",
    restsOn: "Forgejo [api] MAX_RESPONSE_ITEMS",
    run: async (world, check) => {
      const settings = await world.as("boss", "GET", "/settings/api");

      check.same("max_response_items", 50, at(settings.body, "max_response_items"));
    },
  },
  {
    name: "an outsider does not find issues of a private repository",
    restsOn: "Forgejo routers/api/v1/repo/issue.go SearchIssues",
    run: async (world, check) => {
      const number = await world.newIssue({ body: `@${world.people.outsider.login}` });
      await foundSoon(world, "owner", "created=true", number);

      check.same("nothing", undefined, await foundNow(world, "outsider", "state=all", number));
    },
  },
  {
    name: "updated_at moves with a comment, a label, a review, a push and a dismissal",
    restsOn: "Forgejo models/issues/comment.go: every comment of any type updates the issue",
    run: async (world, check) => {
      const pull = await world.newPull();
      const path = `/pulls/${pull.number}`;
      const label = world.unique("label");
      await world.inRepo("owner", "POST", "/labels", { name: label, color: "#00aabb" });
      const steps: [string, () => Promise<unknown>][] = [
        [
          "comment",
          () => world.inRepo("boss", "POST", `/issues/${pull.number}/comments`, { body: "x" }),
        ],
        [
          "label",
          () => world.inRepo("boss", "POST", `/issues/${pull.number}/labels`, { labels: [label] }),
        ],
        [
          "review",
          () => world.inRepo("reviewer", "POST", `${path}/reviews`, { event: "APPROVED" }),
        ],
        ["dismissal", () => dismissNewest(world, pull.number)],
        ["push", () => world.push("boss", { branch: pull.branch, from: pull.branch })],
      ];
      for (const [name, act] of steps) {
        const before = await updatedAt(world, pull.number);
        await world.nextSecond();
        await act();
        const moved = await eventually(async () =>
          (await updatedAt(world, pull.number)) > before ? true : undefined,
        );
        check.same(name, true, moved);
      }
    },
  },
];

async function foundNow(world: World, role: Role, query: string, number: number): Promise<unknown> {
  const answer = await world.as(role, "GET", `/repos/issues/search?${query}&limit=50`);
  return list(answer.body).find(
    (one) => at(one, "number") === number && at(one, "repository.full_name") === world.fullName,
  );
}

/** The index behind the search may be a moment late. */
function foundSoon(world: World, role: Role, query: string, number: number): Promise<unknown> {
  return eventually(() => foundNow(world, role, query, number));
}

async function updatedAt(world: World, number: number): Promise<number> {
  const issue = await world.inRepo("owner", "GET", `/issues/${number}`);
  return Date.parse(String(at(issue.body, "updated_at")));
}

async function dismissNewest(world: World, number: number): Promise<void> {
  const reviews = list((await world.inRepo("owner", "GET", `/pulls/${number}/reviews`)).body);
  const path = `/pulls/${number}/reviews/${at(reviews.at(-1), "id")}/dismissals`;
  await world.inRepo("owner", "POST", path, { message: "outdated" });
}
