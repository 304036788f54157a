import type { ContractCase } from "../contract-case.ts";
import { at, list } from "../forge-client.ts";

/** Branches. */
export const branchCases: ContractCase[] = [
  {
    name: "branches are listed with their commits",
    restsOn: "Forgejo routers/api/v1/repo/branch.go ListBranches",
    run: async (world, check) => {
      const branch = world.unique("listed");
      const sha = await world.push("boss", { branch });
      const answer = await world.inRepo("guest", "GET", "/branches?limit=50");
      const found = list(answer.body).find((one) => at(one, "name") === branch);
      const one = await world.inRepo("guest", "GET", `/branches/${branch}`);

      check.same("status", 200, answer.status);
      check.that(
        "main or ours on the first page",
        list(answer.body).length > 0,
        answer.headers.get("X-Total-Count"),
      );
      if (found !== undefined) check.same("sha", sha, at(found, "commit.id"));
      check.same("by name", [sha, false], [at(one.body, "commit.id"), at(one.body, "protected")]);
    },
  },
  {
    name: "a branch with a slash in its name is deleted with 204, then it is 404",
    restsOn: "Forgejo routers/api/v1/repo/branch.go DeleteBranch",
    run: async (world, check) => {
      const branch = world.unique("with/slash");
      await world.push("boss", { branch });
      const path = `/branches/${encodeURIComponent(branch)}`;
      const reader = await world.inRepo("guest", "DELETE", path);
      const deleted = await world.inRepo("boss", "DELETE", path);
      const again = await world.inRepo("boss", "DELETE", path);

      check.same("reader", 403, reader.status);
      check.same("writer", 204, deleted.status);
      check.same("again", 404, again.status);
    },
  },
  {
    name: "the default branch is not deleted",
    restsOn: "Forgejo routers/api/v1/repo/branch.go DeleteBranch",
    run: async (world, check) => {
      check.same("status", 403, (await world.inRepo("owner", "DELETE", "/branches/main")).status);
    },
  },
  {
    name: "a protected branch says to everybody what he may do there, and its rule to administrators only",
    restsOn: "Forgejo services/convert/convert.go ToBranch",
    run: async (world, check) => {
      const branch = world.unique("guarded");
      await world.push("boss", { branch });
      const seen = async (role: "owner" | "boss" | "guest") => {
        const { body } = await world.inRepo(role, "GET", `/branches/${branch}`);
        return [at(body, "protected"), at(body, "user_can_push")];
      };
      const before = await seen("boss");
      await world.inRepo("owner", "POST", "/branch_protections", { rule_name: branch });
      const after = await seen("boss");
      const reader = await seen("guest");
      const ofOwner = await world.inRepo("owner", "GET", `/branches/${branch}`);
      const ofBoss = await world.inRepo("boss", "GET", `/branches/${branch}`);
      const rules = await world.inRepo("boss", "GET", "/branch_protections");
      await world.inRepo("owner", "DELETE", `/branch_protections/${branch}`);
      const rule = "effective_branch_protection_name";

      check.same("before", [false, true], before);
      check.same("after", [true, false], after);
      check.same("for a reader", [true, false], reader);
      check.same("rule for the owner", branch, at(ofOwner.body, rule));
      check.same("rule for a writer", "", at(ofBoss.body, rule));
      check.same("rules for a writer", 403, rules.status);
    },
  },
];
