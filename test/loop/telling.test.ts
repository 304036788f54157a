import { describe, expect, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ALONE = { repository: { review: "requested" } };
/** A person must see at once that they were heard. */
const HEARD_MS = 2000;

interface Reaction {
  readonly content: string;
  readonly user: { readonly login: string };
}

/** Who put which reaction on an issue (`issues/1`) or a comment (`issues/comments/7`). */
async function reactions(world: ServiceWorld, on: string): Promise<readonly string[]> {
  const found = await world.api("alice", "GET", `/repos/${REPO}/${on}/reactions`);
  return ((found ?? []) as Reaction[]).map(({ content, user }) => `${user.login}:${content}`);
}

describe("a decision shows on the forge", () => {
  test("as eyes of the agent on the issue, later on the comment that asked to continue, once each", async () => {
    await using world = await serviceWorld(ALONE);
    world.script(steps(forgeTool("ask_human", { question: "Which one?" })));
    world.world.forge.faults.duplicateWebhooks(20);
    await world.issue();
    await world.line({ msg: "decision", decision: "run implement" });
    await world.until(
      "eyes on the issue",
      async () => (await reactions(world, "issues/1")).includes("boss:eyes"),
      HEARD_MS,
    );
    await world.line({ msg: "run ended", outcome: "asked" });
    await world.settled(1);

    const mark = world.lines.length;
    const comment = await world.comment("alice", 1, "@boss continue with the first one");
    await world.line({ msg: "decision", decision: "run implement" }, mark);
    await world.until(
      "eyes on the comment",
      async () => (await reactions(world, `issues/comments/${comment}`)).includes("boss:eyes"),
      HEARD_MS,
    );
    await world.line({ msg: "run ended" }, mark);
    await world.settled(1);
    expect(world.matching({ msg: "delivery", status: "duplicate" }).length).toBeGreaterThan(2);
    expect(await reactions(world, "issues/1")).toEqual(["boss:eyes"]);
    expect(await reactions(world, `issues/comments/${comment}`)).toEqual(["boss:eyes"]);
    expect(await world.runs()).toHaveLength(2);
  }, 30_000);

  test("as a confused face and one sentence when the agent does not do that, also when told twice", async () => {
    await using world = await serviceWorld(ALONE);
    world.world.forge.faults.duplicateWebhooks(20);
    const number = await world.issue(["reviewer"]);
    await world.line({ msg: "decision", decision: "refuse" });
    await world.until(
      "a confused face",
      async () => (await reactions(world, "issues/1")).includes("reviewer:confused"),
      HEARD_MS,
    );
    await world.settled(number);
    const mark = world.lines.length;
    await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { title: "Another title" });
    await world.line({ msg: "decision", decision: "nothing" }, mark);
    await world.settled(number);

    expect(await reactions(world, "issues/1")).toEqual(["reviewer:confused"]);
    const comments = await world.comments(number);
    expect(comments.map(({ user }) => user.login)).toEqual(["reviewer"]);
    expect(comments[0]?.body).toStartWith(
      "reviewer does not implement issues; assign boss for that.",
    );
    expect(await world.runs()).toEqual([]);
  }, 30_000);
});

describe("items show names what is not built yet", () => {
  test("when a check of the pull request's head fails", async () => {
    await using world = await serviceWorld({
      ...ALONE,
      sweepSeconds: 0.5,
      skills: { boss: ["implement", "address-review", "fix-checks"] },
    });
    world.script(steps(...IMPLEMENTING));
    await world.issue();
    await world.line({ msg: "run ended", outcome: "succeeded" });
    const [pull] = await world.pulls();
    await world.api("alice", "POST", `/repos/${REPO}/statuses/${pull?.head.sha}`, {
      state: "failure",
      context: "ci/test",
    });
    await world.line({ msg: "decision", reason: "not built: fix-checks" });
    await world.settled(1);
    const { code, out } = await world.cli("items", "show", `${REPO}#1`);
    expect(code).toBe(0);
    expect(out).toContain("nothing (not built: fix-checks)");
  }, 30_000);

  test("when somebody who may ask mentions an agent", async () => {
    await using world = await serviceWorld({
      ...ALONE,
      skills: { boss: ["implement", "respond"] },
    });
    await world.issue([]);
    await world.settled(1);
    const mark = world.lines.length;
    await world.comment("alice", 1, "@boss where does this come from?");
    await world.line({ msg: "decision" }, mark);
    await world.settled(1);
    const { out } = await world.cli("items", "show", `${REPO}#1`);
    expect(out).toContain("nothing (not built: respond)");
    expect(await world.runs()).toEqual([]);
  }, 30_000);
});
