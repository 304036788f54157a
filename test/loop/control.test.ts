import { describe, expect, test } from "bun:test";
import { use } from "../../demo/model/conversation.ts";
import type { Step } from "../../demo/model/endpoint.ts";
import { REPO } from "../../demo/scenario/widgets.ts";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { commandsOf, isRunning, treeOf } from "../support/process-tree.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

/** An operator's word is effective within this time, the processes of the run included. */
const END_MS = 5000;
const ALONE = { repository: { review: "requested" } };
const SLEEPING = use("Bash", { command: "sleep 271" });
const HANGING: Step = { hang: true };

/** A run of boss that never ends by itself; resolves with its session, its id and all its processes. */
async function busy(world: ServiceWorld, step: Step = SLEEPING) {
  world.script(steps(step));
  await world.issue();
  const { session, run } = await world.line({ msg: "starting session" });
  const { pid } = await world.line({ msg: "cli started" });
  await world.until("the model is asked", () => world.requests().length > 0);
  const pids = await treeOf(Number(pid));
  return { session: String(session), run: String(run), pids };
}

async function areGone(pids: readonly number[]): Promise<boolean> {
  return !(await Promise.all(pids.map(isRunning))).includes(true);
}

async function restart(world: ServiceWorld): Promise<number> {
  expect(await world.service().stop()).toBe(0);
  const mark = world.lines.length;
  await world.startAgain();
  return mark;
}

describe("cancelling a run", () => {
  test.each([
    ["runs a command", SLEEPING],
    ["waits for the model", HANGING],
  ] as const)(
    "that %s ends it within 5 s and holds its item, also after a restart, until a person speaks",
    async (_, step) => {
      await using world = await serviceWorld(ALONE);
      const { session, run, pids } = await busy(world, step);
      const began = performance.now();

      const { code, out } = await world.cli("runs", "cancel", run);
      expect(performance.now() - began).toBeLessThan(END_MS);
      expect(await areGone(pids)).toBe(true);
      expect([code, out]).toEqual([0, expect.stringContaining("outcome  cancelled")]);
      expect(await world.settled(1)).toMatchObject({ state: "parked", decision: "park" });
      const [said] = await world.comments(1);
      expect(said?.body).toContain("an operator cancelled the run of boss; a comment here");

      const mark = await restart(world);
      await world.comment("boss", 1, "I would go on.");
      await world.line({ msg: "decision", decision: "park" }, mark);
      expect((await world.settled(1)).runs).toHaveLength(1);

      world.script(steps(...IMPLEMENTING));
      await world.comment("alice", 1, "Go on, please.");
      expect(await world.line({ msg: "resuming session" }, mark)).toMatchObject({ session });
      await world.line({ msg: "run ended", outcome: "succeeded" }, mark);
      expect(await world.pulls()).toHaveLength(1);
    },
    60_000,
  );

  test("and retrying it goes on in the same session; a run that has ended cannot be cancelled", async () => {
    await using world = await serviceWorld(ALONE);
    const { session, run } = await busy(world);
    await world.admin("POST", `/api/v1/runs/${run}/cancel`, {});
    await world.settled(1);
    expect((await world.admin("POST", `/api/v1/runs/${run}/cancel`, {})).status).toBe(409);

    world.script(steps(...IMPLEMENTING));
    expect((await world.cli("runs", "retry", run)).out).toBe(`${REPO}#1 goes on\n`);
    expect(await world.line({ msg: "resuming session" })).toMatchObject({ session });
    await world.line({ msg: "run ended", outcome: "succeeded" });
    await world.settled(1);
    const [, last] = await world.runs();
    expect(last).toMatchObject({ outcome: "succeeded", session, resumed: true });
    const refused = await world.admin("POST", `/api/v1/runs/${last?.id}/retry`, {});
    expect(refused.status).toBe(409);
  }, 60_000);
});

describe("parking an item", () => {
  test("ends its run, holds against people and restarts, and continuing goes on in the same session", async () => {
    await using world = await serviceWorld(ALONE);
    const { session, pids } = await busy(world);
    const began = performance.now();
    expect((await world.cli("items", "park", `${REPO}#1`)).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(END_MS);
    expect(await areGone(pids)).toBe(true);

    const mark = await restart(world);
    await world.comment("alice", 1, "@boss continue");
    await world.line({ msg: "decision", decision: "park" }, mark);
    expect((await world.settled(1)).runs).toHaveLength(1);

    world.script(steps(...IMPLEMENTING));
    expect((await world.cli("items", "continue", `${REPO}#1`)).code).toBe(0);
    expect(await world.line({ msg: "resuming session" }, mark)).toMatchObject({ session });
    await world.line({ msg: "run ended", outcome: "succeeded" }, mark);
  }, 60_000);

  test("while its run is being prepared: Claude is never started, and a reset is refused until then", async () => {
    await using world = await serviceWorld({
      repository: { ...ALONE.repository, setup: "sleep 60" },
    });
    world.script(steps(...IMPLEMENTING));
    await world.issue();
    await world.line({ msg: "decision", decision: "run implement" });
    const reset = { agent: "boss", repo: REPO, issue: 1 };
    await world.until("the run is claimed", async () => (await world.item(1)).state === "running");
    expect((await world.admin("POST", "/reset", reset)).status).toBe(409);
    expect((await world.admin("POST", "/reset", { ...reset, agent: "reviewer" })).status).toBe(200);
    expect((await world.admin("POST", `/api/v1/items/${REPO}/1/reset`, {})).status).toBe(409);

    const began = performance.now();
    expect((await world.admin("POST", `/api/v1/items/${REPO}/1/park`, {})).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(END_MS);
    expect(await world.settled(1)).toMatchObject({ state: "parked", runs: [] });
    expect(world.matching({ msg: "cli started" })).toEqual([]);
    expect((await world.admin("POST", "/reset", reset)).status).toBe(200);
  }, 60_000);
});

describe("draining", () => {
  test("four busy runs: none is started, all end within 5 s, and after a restart each goes on in its session", async () => {
    await using world = await serviceWorld({
      ...ALONE,
      more: "limits: { runs: 4, runs_per_agent: 4 }",
    });
    world.script(steps(SLEEPING));
    for (let count = 0; count < 4; count += 1) await world.issue();
    await world.until(
      "four runs are busy",
      () => world.matching({ msg: "cli started" }).length === 4 && world.requests().length >= 4,
    );
    const trees = await Promise.all(
      world.matching({ msg: "cli started" }).map(({ pid }) => treeOf(Number(pid))),
    );
    const sessions = world.matching({ msg: "starting session" }).map(({ session }) => session);
    const began = performance.now();

    const { json } = await world.admin("POST", "/api/v1/drain", {});
    expect(performance.now() - began).toBeLessThan(END_MS);
    expect(json).toEqual({ draining: true, active: 0 });
    expect(await world.cli("drain")).toMatchObject({ code: 0, out: "drained\n" });
    expect(await areGone(trees.flat())).toBe(true);
    expect(
      world.matching({ msg: "run ended", outcome: "cancelled", reason: "draining" }),
    ).toHaveLength(4);

    // The intake goes on recording, deciding goes on, nothing starts.
    const before = world.lines.length;
    await world.issue();
    await world.line({ msg: "decision", decision: "run implement", number: 5 }, before);
    expect((await world.admin("GET", "/api/v1/status")).json).toMatchObject({
      draining: true,
      runs: { active: 0 },
    });

    world.script(steps(...IMPLEMENTING));
    const mark = await restart(world);
    await world.until(
      "all five have succeeded",
      () => world.matching({ msg: "run ended", outcome: "succeeded" }).length === 5,
      40_000,
    );
    const resumed = world.lines.slice(mark).filter(({ msg }) => msg === "resuming session");
    expect(resumed.map(({ session }) => session).toSorted()).toEqual(sessions.toSorted());
    expect(world.matching({ msg: "starting session" })).toHaveLength(5);
    expect(await world.pulls()).toHaveLength(5);
    expect(world.matching({ msg: "a run was left unfinished" })).toEqual([]);
    expect((await world.admin("GET", "/api/v1/status")).json).toMatchObject({ draining: false });
  }, 120_000);

  test("waits for the end of a tool call that ends soon, so that its result is kept", async () => {
    await using world = await serviceWorld(ALONE);
    const gate = use("Bash", { command: "sleep 0.4; echo the-call-has-ended" });
    const { pids } = await busy(world, gate);
    await world.until("the tool is at work", async () =>
      (await commandsOf(await treeOf(pids[0] ?? 0))).includes("sleep 0.4"),
    );
    expect((await world.admin("POST", "/api/v1/drain", {})).json).toEqual({
      draining: true,
      active: 0,
    });
    await world.line({ msg: "run ended", outcome: "cancelled", reason: "draining" });

    const asked = world.requests().length;
    world.script(steps(...IMPLEMENTING));
    expect((await world.cli("resume")).code).toBe(0);
    await world.line({ msg: "run ended", outcome: "succeeded" });
    const next = world.requests()[asked]?.raw ?? "";
    expect(next.includes('"the-call-has-ended')).toBe(true);
    expect(next.includes("interrupted by user for tool use")).toBe(false);
  }, 60_000);
});

test("a second SIGTERM ends the service at once", async () => {
  await using world = await serviceWorld(ALONE);
  await busy(world);
  const service = world.service();
  process.kill(service.pid, "SIGTERM");
  await world.line({ msg: "stopping" });
  const began = performance.now();
  process.kill(service.pid, "SIGTERM");
  expect(await service.exited).toBe(1);
  expect(performance.now() - began).toBeLessThan(500);
}, 30_000);
