import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { REPO } from "../../demo/scenario/widgets.ts";
import { forgeTool, IMPLEMENTING, steps } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

/** Nobody but boss works, and only the sweep of the next start can tell what happened. */
const ALONE = { repository: { review: "requested" } };

/** Does `act` while the service is down; resolves with the index of the first line of its next life. */
async function whileDown(world: ServiceWorld, act: () => Promise<unknown>): Promise<number> {
  await world.kill();
  await act();
  await world.world.forge.idle();
  const mark = world.lines.length;
  await world.startAgain();
  return mark;
}

/** No delivery told the new life of anything. */
function expectOnlySweep(world: ServiceWorld, mark: number): void {
  expect(world.lines.slice(mark).filter(({ msg }) => msg === "delivery")).toEqual([]);
}

test("an issue that was closed while the service was down is cleaned up", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(steps(forgeTool("ask_human", { question: "Which one?" })));
  await world.issue();
  await world.line({ msg: "run ended", outcome: "asked" });
  await world.settled(1);

  const mark = await whileDown(
    world,
    async () => await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { state: "closed" }),
  );

  expect(await world.line({ msg: "cleaned up" }, mark)).toMatchObject({ sessions: 1, clones: 1 });
  await world.settled(1);
  expectOnlySweep(world, mark);
  expect(await readdir(join(world.stateDir, "claude", REPO)).catch(() => [])).toEqual([]);
  expect(await world.runs()).toHaveLength(1);
}, 40_000);

test("what was taken from its agent while the service was down is not worked on any more", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(() => ({ hang: true }));
  await world.issue();
  await world.until("the model is asked", () => world.requests().length > 0);

  const mark = await whileDown(
    world,
    async () => await world.api("alice", "PATCH", `/repos/${REPO}/issues/1`, { assignees: [] }),
  );

  await world.line({ msg: "decision", decision: "nothing" }, mark);
  expect((await world.settled(1)).reason).toBe("no agent that implements has this issue");
  expectOnlySweep(world, mark);
  expect((await world.runs()).map(({ outcome }) => outcome)).toEqual(["cancelled"]);
}, 40_000);

test("a request for changes that was dismissed while the service was down is not addressed", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(({ skill, calls }) =>
    skill === "implement" ? (IMPLEMENTING[calls.length] ?? { text: "Done." }) : { hang: true },
  );
  await world.issue();
  await world.line({ msg: "run ended", outcome: "succeeded" });
  await world.settled(1);
  const path = `/repos/${REPO}/pulls/2/reviews`;
  const review = { event: "REQUEST_CHANGES", body: "Not like this." };
  const { id } = (await world.api("alice", "POST", path, review)) as { id: number };
  await world.line({ msg: "resuming session", skill: "address-review" });

  const mark = await whileDown(
    world,
    async () => await world.api("alice", "POST", `${path}/${id}/dismissals`, { message: "Fine." }),
  );

  await world.line({ msg: "decision", decision: "nothing" }, mark);
  await world.settled(1);
  expectOnlySweep(world, mark);
  expect((await world.runs()).map(({ skill, outcome }) => `${skill} ${outcome}`)).toEqual([
    "implement succeeded",
    "address-review cancelled",
  ]);
}, 40_000);

test("an answer that mentions its agent while the service was down lets the session go on", async () => {
  await using world = await serviceWorld(ALONE);
  world.script(steps(forgeTool("ask_human", { question: "Which one?" })));
  await world.issue();
  const { session } = await world.line({ msg: "starting session" });
  await world.line({ msg: "run ended", outcome: "asked" });
  await world.settled(1);
  world.script(steps(...IMPLEMENTING));

  const mark = await whileDown(
    world,
    async () => await world.comment("alice", 1, "@boss The first one, please."),
  );

  expect(await world.line({ msg: "resuming session" }, mark)).toMatchObject({ session });
  await world.line({ msg: "run ended", outcome: "succeeded" }, mark);
  expect(world.requests().at(-1)?.raw).toContain("The first one, please.");
  expect(await world.pulls()).toHaveLength(1);
}, 40_000);
