import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import type { Step } from "../../demo/model/endpoint.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { commandsOf, isRunning, treeOf } from "../support/process-tree.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

/** A closed issue ends its run, its processes included, within this time. */
const END_MS = 5000;
const ALONE = { repository: { review: "requested" } };
const HANGING: Step = { hang: true };
const SLEEPING = use("Bash", { command: "sleep 271" });

/** A run of boss that never ends by itself; resolves with all its processes on the host. */
async function busy(world: ServiceWorld, ...all: readonly Step[]): Promise<readonly number[]> {
  world.script(steps(...all));
  await world.issue();
  const { pid } = await world.line({ msg: "cli started" });
  return await world.until("the run is busy", async () => {
    if (world.requests().length === 0) return null;
    const tree = await treeOf(Number(pid));
    const isBusy = all.includes(HANGING) || (await commandsOf(tree)).includes("sleep 271");
    return isBusy && tree.length > 1 ? tree : null;
  });
}

async function areGone(pids: readonly number[]): Promise<boolean> {
  return (await Promise.all(pids.map(isRunning))).every((running) => !running);
}

/** What the service keeps of work items: the entries below `work/` or `claude/` of the repository. */
async function kept(world: ServiceWorld, place: "work" | "claude"): Promise<readonly string[]> {
  const path = join(world.stateDir, place, REPO);
  try {
    return await readdir(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

describe("a person's act ends a living run", () => {
  test.each([
    ["waits for the model", HANGING],
    ["runs a command", SLEEPING],
  ] as const)(
    "closing the issue while it %s leaves no process, clone or session after 5 s",
    async (_, step) => {
      await using world = await serviceWorld(ALONE);
      const pids = await busy(world, step);
      expect(await kept(world, "work")).toEqual(["1"]);

      await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { state: "closed" });
      await world.until(
        "processes, clone and session are gone",
        async () =>
          (await areGone(pids)) &&
          (await kept(world, "work")).length === 0 &&
          (await kept(world, "claude")).length === 0,
        END_MS,
      );
      expect((await world.settled(1)).runs).toMatchObject([
        { outcome: "cancelled", reason: "the issue was closed" },
      ]);
      expect(world.matching({ msg: "starting session" })).toHaveLength(1);
    },
    30_000,
  );

  test("closing the issue is not waited for because the run has replied before", async () => {
    await using world = await serviceWorld(ALONE);
    const pids = await busy(world, forgeTool("reply", { body: "I am at it." }), HANGING);
    await world.line({ msg: "effect done", effect: "reply" });
    await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { state: "closed" });
    await world.until(
      "processes and clone are gone",
      async () => (await areGone(pids)) && (await kept(world, "work")).length === 0,
      END_MS,
    );
    expect((await world.settled(1)).runs).toMatchObject([{ outcome: "cancelled" }]);
  }, 40_000);

  test("unassigning the agent ends the run within 5 s, keeps the session, and assigning it again resumes it", async () => {
    await using world = await serviceWorld(ALONE);
    const pids = await busy(world, SLEEPING);
    const { session } = await world.line({ msg: "starting session" });

    await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { assignees: [] });
    await world.until("all processes are gone", () => areGone(pids), END_MS);
    expect((await world.settled(1)).runs).toMatchObject([
      { outcome: "cancelled", reason: "boss was unassigned" },
    ]);
    const { json } = await world.admin("GET", "/api/v1/sessions");
    expect(json).toMatchObject({ sessions: [{ session_id: session }] });
    expect(await kept(world, "work")).toEqual(["1"]);

    world.script(steps(...IMPLEMENTING));
    await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { assignees: ["boss"] });
    expect(await world.line({ msg: "resuming session" })).toMatchObject({ session });
    await world.line({ msg: "run ended", outcome: "succeeded" });
    expect(await world.pulls()).toHaveLength(1);
  }, 30_000);
});

describe("pause", () => {
  test("ends a living run, starts nothing, and resume goes on in the same session", async () => {
    await using world = await serviceWorld(ALONE);
    const pids = await busy(world, SLEEPING);
    const { session } = await world.line({ msg: "starting session" });

    expect((await world.admin("POST", "/api/v1/pause", {})).status).toBe(200);
    await world.until("all processes are gone", () => areGone(pids), END_MS);
    await world.line({ msg: "run ended", outcome: "cancelled", reason: "paused" });
    expect(await world.settled(1)).toMatchObject({ decision: "nothing", reason: "paused" });
    const mark = world.lines.length;
    await world.comment("alice", 1, "still there?");
    await world.line({ msg: "delivery", event: "issue_comment", status: "accepted" }, mark);
    await world.line({ msg: "decision", decision: "nothing", reason: "paused" }, mark);

    world.script(steps(...IMPLEMENTING));
    expect((await world.admin("POST", "/api/v1/resume", {})).status).toBe(200);
    expect(await world.line({ msg: "resuming session" }, mark)).toMatchObject({ session });
    await world.line({ msg: "run ended", outcome: "succeeded" });
    expect(await world.pulls()).toHaveLength(1);
  }, 30_000);

  test.each([
    ["repository", { repo: REPO }],
    ["agent", { agent: "boss" }],
  ] as const)(
    "of one %s ends its run, too",
    async (_, scope) => {
      await using world = await serviceWorld(ALONE);
      const pids = await busy(world, HANGING);
      expect((await world.admin("POST", "/api/v1/pause", scope)).status).toBe(200);
      await world.until("all processes are gone", () => areGone(pids), END_MS);
      await world.settled(1);
      expect((await world.runs()).map(({ outcome }) => outcome)).toEqual(["cancelled"]);

      world.script(steps(...IMPLEMENTING));
      expect((await world.admin("POST", "/api/v1/resume", scope)).status).toBe(200);
      await world.line({ msg: "run ended", outcome: "succeeded" });
    },
    30_000,
  );
});

describe("a limit ends a living run", () => {
  test.each([
    ["run_minutes", "timed_out"],
    ["stall_minutes", "stalled"],
  ])(
    "%s: the outcome is %s, no process is left, and it is tried again later",
    async (limit, outcome) => {
      await using world = await serviceWorld({ ...ALONE, more: `limits: { ${limit}: 0.05 }` });
      const pids = await busy(world, HANGING);
      await world.line({ msg: "run ended", outcome, reason: limit });
      await world.until("all processes are gone", () => areGone(pids), END_MS);
      const item = await world.settled(1);
      expect(item.reason).toBe("attempt 2 of 3 waits");
      expect(item.runs).toHaveLength(1);
    },
    30_000,
  );
});

describe("no answer of the forge is no state", () => {
  test.each([404, 500])(
    "a living run goes on and nothing is removed while it answers %i",
    async (status) => {
      await using world = await serviceWorld(ALONE);
      const gate = Promise.withResolvers<void>();
      world.script(async (talk) => {
        await gate.promise;
        return await steps(...IMPLEMENTING)(talk);
      });
      await world.issue();
      await world.until("the model is asked", () => world.requests().length > 0);
      const { faults } = world.world.forge;
      faults.answerNext({
        method: "GET",
        path: /^\/api\/v1\/repos\/acme/u,
        status,
        times: 100_000,
      });
      const hook = world.lines.length;
      const comment = { method: "POST", path: `/repos/${REPO}/issues/1/comments` } as const;
      await world.api("alice", comment.method, comment.path, { body: "Any news?" });
      await world.line({ msg: "no snapshot for a living run" }, hook);
      expect(await kept(world, "work")).toEqual(["1"]);
      faults.clear();
      gate.resolve();
      await world.line({ msg: "run ended", outcome: "succeeded" });
      expect(await world.pulls()).toHaveLength(1);
      expect(world.matching({ msg: "cleaned up" })).toEqual([]);
      expect(world.matching({ msg: "stopping run" })).toEqual([]);
    },
    30_000,
  );
});
