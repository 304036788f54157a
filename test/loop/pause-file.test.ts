import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { isRunning, treeOf } from "../support/process-tree.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const END_MS = 5000;
const ALONE = { repository: { review: "requested" } };

/** A run of boss that never ends by itself; resolves with its processes on the host. */
async function hangingRun(world: ServiceWorld): Promise<readonly number[]> {
  world.script(steps({ hang: true }));
  await world.issue();
  const { pid } = await world.line({ msg: "cli started" });
  return await world.until("the run is busy", async () => {
    const tree = await treeOf(Number(pid));
    return world.requests().length > 0 && tree.length > 1 ? tree : null;
  });
}

async function areGone(pids: readonly number[]): Promise<boolean> {
  return (await Promise.all(pids.map(isRunning))).every((running) => !running);
}

/** The database as another process holds it for as long as it likes. */
function lockDatabase(world: ServiceWorld): Disposable {
  const database = new Database(join(world.stateDir, "claude-hooks.db"));
  database.run("pragma busy_timeout = 5000");
  database.run("begin exclusive");
  return {
    [Symbol.dispose]: () => {
      database.run("rollback");
      database.close();
    },
  };
}

describe("the file paused in the state directory", () => {
  test("ends a living run, holds everything, and lets it go on in the same session when it is removed", async () => {
    await using world = await serviceWorld(ALONE);
    const pids = await hangingRun(world);
    const { session } = await world.line({ msg: "starting session" });

    await writeFile(join(world.stateDir, "paused"), "");
    await world.until("all processes are gone", () => areGone(pids), END_MS);
    expect(await world.settled(1)).toMatchObject({ decision: "nothing", reason: "paused" });
    const status = await world.cli("status");
    expect(status.out).toContain("everything (by the file paused in the state directory)");

    world.script(steps(...IMPLEMENTING));
    await rm(join(world.stateDir, "paused"));
    expect(await world.line({ msg: "resuming session" })).toMatchObject({ session });
    await world.line({ msg: "run ended", outcome: "succeeded" });
  }, 40_000);

  test("ends a living run while another process has locked the database", async () => {
    await using world = await serviceWorld(ALONE);
    const pids = await hangingRun(world);

    {
      using _lock = lockDatabase(world);
      await writeFile(join(world.stateDir, "paused"), "");
      await world.until("all processes are gone", () => areGone(pids), END_MS);
    }

    expect((await world.settled(1)).runs.at(-1)).toMatchObject({ outcome: "cancelled" });
  }, 40_000);

  test("is written by `claude-hooks pause` also while the database is locked", async () => {
    await using world = await serviceWorld(ALONE);
    const pids = await hangingRun(world);

    {
      using _lock = lockDatabase(world);
      const end = performance.now() + END_MS;
      const paused = await world.cli("pause");
      expect(paused).toMatchObject({ code: 0, out: "paused everything\n" });
      await world.until("all processes are gone", () => areGone(pids), end - performance.now());
      expect(existsSync(join(world.stateDir, "paused"))).toBe(true);
    }
    await world.settled(1);

    world.script(steps(...IMPLEMENTING));
    expect((await world.cli("resume")).code).toBe(0);
    expect(existsSync(join(world.stateDir, "paused"))).toBe(false);
    await world.line({ msg: "run ended", outcome: "succeeded" });
  }, 60_000);

  test("is written by `claude-hooks pause` without a service, and holds the next one from its start", async () => {
    await using world = await serviceWorld(ALONE);
    await world.kill();
    expect(await world.cli("pause")).toMatchObject({ code: 0, out: "paused everything\n" });

    await world.startAgain();
    world.script(steps(...IMPLEMENTING));
    await world.issue();
    expect(await world.settled(1)).toMatchObject({ decision: "nothing", reason: "paused" });
    expect(world.matching({ msg: "cli started" })).toEqual([]);

    // Removed while no service runs: the next one asks again what was decided under it.
    await world.kill();
    await rm(join(world.stateDir, "paused"));
    await world.startAgain();
    await world.line({ msg: "run ended", outcome: "succeeded" });
  }, 60_000);
});
