import type { ContractCase } from "../contract-case.ts";
import { at, list } from "../forge-client.ts";
import type { World } from "../world.ts";

/** Commit statuses. */
export const statusCases: ContractCase[] = [
  {
    name: "a status is set with state and read back as status",
    restsOn: "Forgejo modules/structs/status.go",
    run: async (world, check) => {
      const sha = await world.push("boss", { branch: world.unique("ci") });
      const form = {
        state: "pending",
        context: "ci/a",
        description: "runs",
        target_url: "https://ci.example.org/1",
      };
      const made = await world.inRepo("boss", "POST", `/statuses/${sha}`, form);

      check.same("status", 201, made.status);
      check.same(
        "field",
        ["pending", undefined],
        [at(made.body, "status"), at(made.body, "state")],
      );
      check.same("context", "ci/a", at(made.body, "context"));
      check.same("target_url", form.target_url, at(made.body, "target_url"));
      check.same("creator", world.people.boss.login, at(made.body, "creator.login"));
    },
  },
  {
    name: "a reader may not set a status",
    restsOn: "Forgejo routers/api/v1/api.go reqRepoWriter",
    run: async (world, check) => {
      const sha = await world.push("boss", { branch: world.unique("ci") });
      const made = await world.inRepo("guest", "POST", `/statuses/${sha}`, { state: "success" });

      check.same("status", 403, made.status);
    },
  },
  {
    name: "the combined status is the worst of the newest per context",
    restsOn:
      "Forgejo models/git/commit_status.go GetLatestCommitStatus, modules/structs/commit_status.go",
    run: async (world, check) => {
      const sha = await world.push("boss", { branch: world.unique("ci") });
      await set(world, sha, "ci/a", "failure");
      await set(world, sha, "ci/b", "success");
      const worst = await world.inRepo("guest", "GET", `/commits/${sha}/status`);
      await set(world, sha, "ci/a", "success");
      const best = await world.inRepo("guest", "GET", `/commits/${sha}/status`);

      check.same("one fails", "failure", at(worst.body, "state"));
      check.same("all green", "success", at(best.body, "state"));
      check.same("sha", sha, at(best.body, "sha"));
      check.same("contexts", ["ci/a", "ci/b"], contexts(at(best.body, "statuses")));
    },
  },
  {
    name: "without statuses the combined one is empty",
    restsOn: "Forgejo routers/api/v1/repo/status.go GetCombinedCommitStatusByRef",
    run: async (world, check) => {
      const sha = await world.push("boss", { branch: world.unique("ci") });
      const { status, body } = await world.inRepo("guest", "GET", `/commits/${sha}/status`);

      check.same("status", 200, status);
      check.same("state", "", at(body, "state"));
      check.same("statuses", [0, 0], [at(body, "total_count"), list(at(body, "statuses")).length]);
    },
  },
  {
    name: "the combined status covers the requested page only",
    restsOn: "Forgejo routers/api/v1/repo/status.go: the state is computed from one page",
    run: async (world, check) => {
      const sha = await world.push("boss", { branch: world.unique("ci") });
      await set(world, sha, "ci/fails", "failure");
      await set(world, sha, "ci/green", "success");
      const pages = [];
      for (const page of [1, 2])
        pages.push(
          (await world.inRepo("guest", "GET", `/commits/${sha}/status?limit=1&page=${page}`)).body,
        );
      const states = pages.map((body) => at(body, "state"));

      check.same(
        "one per page",
        [1, 1],
        pages.map((body) => list(at(body, "statuses")).length),
      );
      check.same("one page is green", true, states.includes("success"));
      check.same("the other fails", true, states.includes("failure"));
    },
  },
  {
    name: "all statuses of a commit are listed in pages with a total",
    restsOn: "Forgejo routers/api/v1/repo/status.go getCommitStatuses",
    run: async (world, check) => {
      const sha = await world.push("boss", { branch: world.unique("ci") });
      for (const state of ["pending", "failure", "success"]) await set(world, sha, "ci/a", state);
      const path = `/commits/${sha}/statuses`;
      const all = await world.inRepo("guest", "GET", path);
      const first = await world.inRepo("guest", "GET", `${path}?limit=2`);
      const ids = list(all.body).map((one) => Number(at(one, "id")));
      const newest = list(all.body).find((one) => at(one, "id") === Math.max(...ids));

      check.same("three", 3, ids.length);
      check.same("the newest has the highest id", "success", at(newest, "status"));
      check.same(
        "page of two, total",
        [2, "3"],
        [list(first.body).length, first.headers.get("X-Total-Count")],
      );
    },
  },
  {
    name: "statuses are found by branch name, too, and an unknown ref is 404",
    restsOn: "Forgejo routers/api/v1/utils/git.go ResolveRefOrSha",
    run: async (world, check) => {
      const branch = world.unique("ci");
      const sha = await world.push("boss", { branch });
      await set(world, sha, "ci/a", "success");
      const found = await world.inRepo("guest", "GET", `/commits/${branch}/statuses`);
      const missing = await world.inRepo("guest", "GET", `/commits/${world.unique("no")}/status`);

      check.same("by branch", ["ci/a"], contexts(found.body));
      check.same("unknown", 404, missing.status);
    },
  },
];

async function set(world: World, sha: string, context: string, state: string): Promise<void> {
  await world.inRepo("boss", "POST", `/statuses/${sha}`, { context, state });
}

function contexts(statuses: unknown): unknown[] {
  return list(statuses)
    .map((one) => String(at(one, "context")))
    .toSorted();
}
