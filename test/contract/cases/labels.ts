import type { ContractCase } from "../contract-case.ts";
import { at, list } from "../forge-client.ts";
import type { World } from "../world.ts";

/** Labels of an issue. */
export const labelCases: ContractCase[] = [
  {
    name: "labels are added by name, replaced by id and removed; unknown names are dropped",
    restsOn: "Forgejo routers/api/v1/repo/issue_label.go",
    run: async (world, check) => {
      const first = await newLabel(world);
      const second = await newLabel(world);
      const path = `/issues/${await world.newIssue()}/labels`;
      const added = await world.inRepo("boss", "POST", path, { labels: [first.name, "no such"] });
      const replaced = await world.inRepo("boss", "PUT", path, { labels: [second.id] });
      const removed = await world.inRepo("boss", "DELETE", `${path}/${second.id}`);
      const left = await world.inRepo("boss", "GET", path);

      check.same("added", [200, [first.name]], [added.status, names(added.body)]);
      check.same("replaced", [200, [second.name]], [replaced.status, names(replaced.body)]);
      check.same("removed", 204, removed.status);
      check.same("none left", [], names(left.body));
    },
  },
  {
    name: "a reader may not label",
    restsOn: "Forgejo routers/api/v1/repo/issue_label.go",
    run: async (world, check) => {
      const label = await newLabel(world);
      const path = `/issues/${await world.newIssue()}/labels`;
      const answer = await world.inRepo("guest", "POST", path, { labels: [label.name] });

      check.same("status", 403, answer.status);
    },
  },
  {
    name: "a label that the repository does not have cannot be removed",
    restsOn: "Forgejo routers/api/v1/repo/issue_label.go DeleteIssueLabel",
    run: async (world, check) => {
      const path = `/issues/${await world.newIssue()}/labels/99999999`;

      check.oneOf("status", [404, 422], (await world.inRepo("boss", "DELETE", path)).status);
    },
  },
];

async function newLabel(world: World): Promise<{ id: unknown; name: string }> {
  const name = world.unique("label");
  const made = await world.inRepo("owner", "POST", "/labels", { name, color: "#ee0701" });
  return { id: at(made.body, "id"), name };
}

function names(labels: unknown): unknown[] {
  return list(labels).map((label) => at(label, "name"));
}
