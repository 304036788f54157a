import { expect, test } from "bun:test";
import type { Outcome } from "../../src/domain/ledger.ts";
import type { Skill } from "../../src/domain/skill.ts";
import type { ToolName } from "../../src/domain/tools.ts";
import { endOrphans } from "../../src/run/end-orphans.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import {
  anOrder,
  aStart,
  claimRun,
  itemRef,
  NOON,
  openStoreWorld,
  orderRun,
  REPO,
} from "../support/store-world.ts";

const NUMBER = 7;
/** Nobody has it. */
const TAG = `NOBODY=${"0".repeat(32)}`;
const quiet = (): undefined => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

interface Case {
  readonly skill: Skill;
  readonly done: readonly ToolName[];
  readonly begun: readonly ToolName[];
  readonly outcome: Outcome;
}

const CASES: readonly Case[] = [
  { skill: "implement", done: [], begun: [], outcome: "cancelled" },
  { skill: "implement", done: ["reply"], begun: [], outcome: "cancelled" },
  { skill: "implement", done: [], begun: ["ask_human"], outcome: "cancelled" },
  { skill: "implement", done: ["reply", "ask_human"], begun: [], outcome: "asked" },
  { skill: "implement", done: ["ask_human", "open_pull_request"], begun: [], outcome: "succeeded" },
  { skill: "address-review", done: ["hand_in"], begun: [], outcome: "succeeded" },
  { skill: "review", done: ["submit_review"], begun: [], outcome: "succeeded" },
  { skill: "merge", done: ["request_merge"], begun: [], outcome: "succeeded" },
  { skill: "merge", done: ["decline_merge"], begun: [], outcome: "declined" },
  { skill: "respond", done: ["reply"], begun: [], outcome: "succeeded" },
];

test.each(CASES)(
  "a $skill run that was cut off after $done, and $begun begun, is closed as $outcome",
  async ({ skill, done, begun, outcome }) => {
    await using world = await openStoreWorld("memory");
    const { store } = world;
    const order = anOrder({ skill, fingerprint: `boss/${skill}/1` });
    await orderRun(store, NUMBER, order);
    const claim = await claimRun(store);
    await store.runs.start(claim, aStart("r", claim));
    for (const tool of [...done, ...begun]) {
      const key = `${REPO}#${NUMBER}|${order.fingerprint}|${tool}|1`;
      const item = itemRef(NUMBER);
      const { id } = await store.effects.intend({ key, run: "r", item, tool, at: NOON });
      if (done.includes(tool)) await store.effects.finish(id, { state: "done", ref: 1, text: "" });
    }

    await endOrphans({
      store,
      owner: "me",
      processes: createProcesses(),
      tag: TAG,
      now: () => NOON,
      log,
    });

    expect(await store.runs.unfinished("me")).toEqual([]);
    expect(await store.runs.get("r")).toMatchObject({ outcome });
  },
);

test("what another order of the item has done does not count", async () => {
  await using world = await openStoreWorld("memory");
  const { store } = world;
  const order = anOrder({ fingerprint: "boss/implement/1+9" });
  await orderRun(store, NUMBER, order);
  const claim = await claimRun(store);
  await store.runs.start(claim, aStart("r", claim));
  const key = `${REPO}#${NUMBER}|boss/implement/1|ask_human|1`;
  const intent = { key, run: "q", item: itemRef(NUMBER), tool: "ask_human", at: NOON };
  const { id } = await store.effects.intend(intent);
  await store.effects.finish(id, { state: "done", ref: 1, text: "" });

  await endOrphans({
    store,
    owner: "me",
    processes: createProcesses(),
    tag: TAG,
    now: () => NOON,
    log,
  });

  expect(await store.runs.get("r")).toMatchObject({ outcome: "cancelled" });
});
