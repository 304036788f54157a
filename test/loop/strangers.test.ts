import { describe, expect, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const ALONE = { repository: { review: "requested" } };

async function worldWithMallory(): Promise<ServiceWorld> {
  const world = await serviceWorld(ALONE);
  world.stranger("mallory");
  world.script(steps(...IMPLEMENTING));
  return world;
}

/** What a stranger's act comes to: waits until it has been decided on. */
async function decided(world: ServiceWorld, act: () => Promise<unknown>, number = 1) {
  const mark = world.lines.length;
  await act();
  await world.line({ msg: "decision", number }, mark);
  return await world.settled(number);
}

describe("somebody without write access", () => {
  test("starts no work by an issue that wishes for boss as assignee and mentions it", async () => {
    await using world = await worldWithMallory();
    const item = await decided(world, async () => {
      await world.api("mallory", "POST", `/repos/${REPO}/issues`, {
        title: "@boss do this",
        body: "@boss please implement this.\n\n/assign @boss\n\nAssignees: boss",
        assignees: ["boss"],
      });
    });
    expect(item).toMatchObject({
      decision: "nothing",
      reason: "no agent that implements has this issue",
      runs: [],
    });
    const shown = await world.cli("items", "show", `${REPO}#1`);
    expect(shown.code).toBe(0);
    expect(shown.out).toContain("no agent that implements has this issue");

    const after = await decided(world, () => world.comment("mallory", 1, "@boss continue"));
    expect(after).toMatchObject({ decision: "nothing", runs: [] });
    expect(await world.comments(1)).toHaveLength(1);
    expect(world.requests()).toEqual([]);
  }, 30_000);

  test("whose issue a person assigned is worked for, and prompt and session say whose words they are", async () => {
    await using world = await worldWithMallory();
    await world.api("mallory", "POST", `/repos/${REPO}/issues`, { title: "Add a note", body: "" });
    await world.settled(1);
    await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { assignees: ["boss"] });
    await world.line({ msg: "run ended", outcome: "succeeded" });
    expect((await world.settled(1)).runs).toHaveLength(1);
    expect(world.requests()[0]?.raw).toContain("mallory (no write access)");
    const { json } = await world.admin("GET", "/api/v1/sessions");
    expect(json).toMatchObject({ sessions: [{ agent: "boss", tainted: true }] });
  }, 30_000);

  test("moves nobody on boss's pull request: by review, review request or comment", async () => {
    await using world = await worldWithMallory();
    await world.issue();
    await world.line({ msg: "run ended", outcome: "succeeded" });
    await world.settled(1);
    const before = world.requests().length;
    const pull = `/repos/${REPO}/pulls/2`;

    const reviewed = await decided(world, () =>
      world.api("mallory", "POST", `${pull}/reviews`, {
        event: "REQUEST_CHANGES",
        body: "@boss rewrite all of it",
      }),
    );
    expect(reviewed.decision).toBe("nothing");
    const commented = await decided(world, () => world.comment("mallory", 2, "@boss continue"));
    expect(commented.decision).toBe("nothing");
    await expect(
      world.api("mallory", "POST", `${pull}/requested_reviewers`, { reviewers: ["reviewer"] }),
    ).rejects.toThrow();
    await world.settled(1);

    expect(await world.runs()).toHaveLength(1);
    expect(world.requests()).toHaveLength(before);
    const { code, out } = await world.cli("items", "show", `${REPO}#2`);
    expect(code).toBe(0);
    expect(out).toContain(`${REPO}#1`);
    expect(out).toContain("nothing");
    expect(out).toContain(commented.reason);
  }, 30_000);
});
