import { expect, test } from "bun:test";
import { REPO } from "../../demo/scenario/widgets.ts";
import { IMPLEMENTING, steps } from "../support/model-steps.ts";
import { serviceWorld } from "../support/service-world.ts";

const SWEEPING = { sweepSeconds: 0.5, repository: { review: "requested" } };

test("a forge without a hook is worked for all the same: the sweep alone finds assignment and closing", async () => {
  await using world = await serviceWorld(SWEEPING);
  const hooks = (await world.api("alice", "GET", `/repos/${REPO}/hooks`)) as { id: number }[];
  for (const { id } of hooks) await world.api("alice", "DELETE", `/repos/${REPO}/hooks/${id}`);
  world.script(steps(...IMPLEMENTING));
  await world.issue();
  await world.line({ msg: "run ended", outcome: "succeeded" });
  expect(await world.pulls()).toHaveLength(1);

  await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { state: "closed" });
  await world.line({ msg: "decision", decision: "cleanup" });
  await world.settled(1);
  expect(world.matching({ msg: "delivery" })).toEqual([]);
  expect(world.matching({ msg: "starting session" })).toHaveLength(1);
}, 30_000);

test("a dropped webhook costs nothing but the wait for the next sweep", async () => {
  await using world = await serviceWorld(SWEEPING);
  world.world.forge.faults.dropWebhooks(2);
  world.script(steps(...IMPLEMENTING));
  await world.issue();
  await world.line({ msg: "starting session" });
  expect(world.matching({ msg: "delivery" })).toEqual([]);
  await world.line({ msg: "run ended", outcome: "succeeded" });
  await world.settled(1);
  expect(world.matching({ msg: "starting session" })).toHaveLength(1);
}, 30_000);
