import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { use } from "../../demo/model/conversation.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { isRunning, treeOf } from "../support/process-tree.ts";
import { serviceWorld } from "../support/service-world.ts";

const ALONE = { repository: { review: "requested" } };

describe("kill -9 of the service", () => {
  test("in the middle of a run: the orphan is gone first, the run is cancelled, the session resumed, one pull request", async () => {
    await using world = await serviceWorld(ALONE);
    world.script(steps(use("Bash", { command: "sleep 271" })));
    await world.issue();
    const { session, run } = await world.line({ msg: "starting session" });
    const { pid } = await world.line({ msg: "cli started" });
    await world.until("the model was asked", () => world.requests().length > 0);
    const orphans = await treeOf(Number(pid));

    await world.kill();
    const living: boolean[] = [];
    world.script(async (talk) => {
      // When the model hears of the new life, nobody of the old one may be there.
      living.push(...(await Promise.all(orphans.map(isRunning))));
      return await steps(...IMPLEMENTING)(talk);
    });
    const mark = world.lines.length;
    await world.startAgain();

    expect(await world.line({ msg: "a run was left unfinished" }, mark)).toMatchObject({ run });
    expect(await world.line({ msg: "resuming session" }, mark)).toMatchObject({ session });
    await world.line({ msg: "run ended", outcome: "succeeded" }, mark);
    expect(living.length).toBeGreaterThan(1);
    expect(living).not.toContain(true);
    const order = world.lines.slice(mark).map(({ msg }) => msg);
    expect(order.indexOf("a run was left unfinished")).toBeLessThan(
      order.indexOf("resuming session"),
    );
    expect((await world.settled(1)).runs).toMatchObject([
      { id: run, outcome: "cancelled", session },
      { outcome: "succeeded", session, resumed: true },
    ]);
    expect(await world.pulls()).toHaveLength(1);
    expect(world.matching({ msg: "starting session" })).toHaveLength(1);
  }, 40_000);

  test.each([
    ["after the pull request was opened but before that is on record", true],
    ["after the branch was pushed but before the pull request was opened", false],
  ])(
    "%s: there is exactly one pull request in the end",
    async (_, afterEffect) => {
      await using world = await serviceWorld(ALONE);
      const [work, open] = IMPLEMENTING;
      world.script(
        ({ calls }) =>
          (calls.length < 2 ? (calls.length === 0 ? work : open) : undefined) ?? { hang: true },
      );
      const { faults } = world.world.forge;
      faults.answerNext({ method: "POST", path: /\/pulls$/u, status: 500, afterEffect });
      await world.issue();
      await world.line({ msg: "effect failed", effect: "open_pull_request" });
      expect(await world.pulls()).toHaveLength(afterEffect ? 1 : 0);
      expect((await world.item(1)).effects).toMatchObject([
        { tool: "push", state: "done" },
        { tool: "open_pull_request", state: "intent" },
      ]);

      await world.kill();
      world.script(
        steps(
          ...(afterEffect
            ? []
            : [forgeTool("open_pull_request", { title: "A note", body: "It is there." })]),
        ),
      );
      const mark = world.lines.length;
      await world.startAgain();
      await world.line({ msg: "a run was left unfinished" }, mark);
      if (!afterEffect) await world.line({ msg: "run ended", outcome: "succeeded" }, mark);
      await world.line({ msg: "decision", decision: "nothing" }, mark);
      await world.settled(1);
      expect(await world.pulls()).toHaveLength(1);
      expect(world.matching({ msg: "starting session" })).toHaveLength(1);
    },
    40_000,
  );
});

test("SIGTERM in the middle of a run ends it at a safe point, and the next life resumes its session", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(steps(use("Bash", { command: "sleep 271" })));
  await world.issue();
  const { session } = await world.line({ msg: "starting session" });
  const { pid } = await world.line({ msg: "cli started" });
  await world.until("the model was asked", () => world.requests().length > 0);
  const processes = await treeOf(Number(pid));

  expect(await world.service().stop()).toBe(0);
  await world.until(
    "all processes are gone",
    async () => !(await Promise.all(processes.map(isRunning))).includes(true),
    1000,
  );
  expect(world.matching({ msg: "run ended" })).toMatchObject([
    { outcome: "cancelled", reason: "the service is stopping", session },
  ]);
  expect(await Bun.file(join(world.stateDir, "serve.json")).exists()).toBe(false);
  const mirror = await Bun.file(join(world.stateDir, "sessions.json")).text();
  expect(mirror).toContain(String(session));

  world.script(steps(...IMPLEMENTING));
  await world.startAgain();
  expect(await world.line({ msg: "resuming session" })).toMatchObject({ session });
  await world.line({ msg: "run ended", outcome: "succeeded" });
  expect(world.matching({ msg: "a run was left unfinished" })).toEqual([]);
  expect(await world.pulls()).toHaveLength(1);
}, 60_000);

test("a model that asks to wait parks the run without counting a failure, and it goes on in the same session", async () => {
  await using world = await serviceWorld(ALONE);
  let refusals = 3;
  world.script((talk) => {
    refusals -= 1;
    if (refusals < 0) return steps(...IMPLEMENTING)(talk);
    const error = { type: "rate_limit_error", message: "Too many requests" };
    return { status: 429, headers: { "retry-after": "1" }, body: { type: "error", error } };
  });
  await world.issue();
  const { session } = await world.line({ msg: "starting session" });
  await world.line({ msg: "run ended", outcome: "parked" });
  expect(await world.line({ msg: "resuming session" })).toMatchObject({ session });
  await world.line({ msg: "run ended", outcome: "succeeded" });
  expect(world.matching({ msg: "run ended", outcome: "failed" })).toEqual([]);
  expect(await world.comments(1)).toEqual([]);
}, 60_000);
