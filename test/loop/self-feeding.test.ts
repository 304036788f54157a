import { describe, expect, test } from "bun:test";
import { type Conversation, say, use } from "../../demo/model/conversation.ts";
import type { Step } from "../../demo/model/endpoint.ts";
import { forgeTool } from "../support/model-steps.ts";
import { type ServiceWorld, serviceWorld } from "../support/service-world.ts";

const PAIR = { skills: { "code-lead": ["merge"] } };
/** More rounds than any of this may take. */
const REMARKS_MAX = 20;
const PATIENCE_MS = 60_000;
const LINES = Array.from({ length: 60 }, (_, index) => `export const value${index} = ${index};`);

/** Boss writes a file of many lines, and answers every review with `answer`. */
function pair(
  answer: (talk: Conversation, round: number) => readonly Step[],
  remark: (round: number) => Remark,
) {
  let rounds = 0;
  let reviews = 0;
  return (talk: Conversation): Step => {
    const done = talk.calls.length;
    if (talk.skill === "implement") {
      const command = `printf '%s\\n' ${LINES.map((line) => `'${line}'`).join(" ")} > values.ts && git add values.ts && git commit -qm values`;
      const open = { title: "Values", body: "They are there now." };
      return [use("Bash", { command }), forgeTool("open_pull_request", open)][done] ?? say("Done.");
    }
    if (talk.skill === "review") {
      if (done > 0) return say("Reviewed.");
      reviews += 1;
      const comments = [{ path: "values.ts", ...remark(reviews) }];
      return forgeTool("submit_review", { verdict: "request_changes", body: "Not yet.", comments });
    }
    if (talk.skill !== "address-review") return say("Nothing to do.");
    if (done === 0) rounds += 1;
    return answer(talk, rounds)[done] ?? say("Handed in.");
  };
}

interface Remark {
  readonly line: number;
  readonly body: string;
}

/** The id of the newest remark that boss was shown. */
function remarkIn({ prompt }: Conversation): number {
  const ids = [...prompt.matchAll(/^### Comment (\d+) at /gmu)].map(([, id]) => Number(id));
  return ids.at(-1) ?? 0;
}

/** Boss answers in words only. */
const refusing = (talk: Conversation): readonly Step[] => [
  forgeTool("hand_in", {
    summary: "It is right as it is.",
    answers: [{ comment_id: remarkIn(talk), body: "I think this is right." }],
  }),
];

/** Boss does what it is told, far away from everything else in the file. */
const obeying = (talk: Conversation, round: number): readonly Step[] => [
  use("Bash", {
    command: `sed -i '${round}s/.*/export const changed${round} = true;/' values.ts && git commit -qam 'Round ${round}'`,
  }),
  forgeTool("hand_in", {
    summary: "Done.",
    answers: [{ comment_id: remarkIn(talk), body: "Done." }],
  }),
];

async function parked(world: ServiceWorld) {
  await world.issue();
  await world.until(
    "the pair has stopped",
    () => world.matching({ msg: "decision", decision: "park" }).length > 0,
    PATIENCE_MS,
  );
  return await world.settled(1);
}

async function roundsOf(world: ServiceWorld, skill: string): Promise<number> {
  return (await world.runs()).filter((run) => run.skill === skill).length;
}

describe("a pair of agents that feeds itself stops by itself", () => {
  test("the author never changes anything, the reviewer repeats itself: two answers, then a person is asked", async () => {
    await using world = await serviceWorld(PAIR);
    world.script(pair(refusing, () => ({ line: 30, body: "This value is wrong." })));

    const item = await parked(world);

    expect(item.reason).toStartWith("disagreement: boss answered reviewer twice without a change");
    expect(item.reason).toContain("`values.ts:30` (This value is wrong.)");
    expect(await roundsOf(world, "review")).toBe(2);
    expect(await roundsOf(world, "address-review")).toBe(2);
    const [pull] = await world.pulls();
    const said = await world.comments(pull?.number ?? 0);
    expect(said.at(-1)?.body).toContain("a comment here that says who is right");

    const mark = world.lines.length;
    await world.comment("alice", pull?.number ?? 0, "The reviewer is right.");
    await world.line({ msg: "decision", decision: "run review" }, mark);
  }, 120_000);

  test("the author does what it is told, the reviewer finds something else in old code: one round, then a person is asked", async () => {
    await using world = await serviceWorld(PAIR);
    world.script(
      pair(obeying, (round) => ({
        line: 60 - (round % REMARKS_MAX),
        body: `New thought ${round}.`,
      })),
    );

    const item = await parked(world);

    expect(item.reason).toStartWith(
      "disagreement: reviewer asks only for new things in code that it had reviewed before: `values.ts:58` (New thought 2.)",
    );
    expect(await roundsOf(world, "review")).toBe(2);
    expect(await roundsOf(world, "address-review")).toBe(1);
  }, 120_000);

  test("the reviewer finds something in what was changed each time: the cap of rounds ends it", async () => {
    await using world = await serviceWorld({ ...PAIR, more: "limits: { review_rounds: 2 }" });
    world.script(
      pair(obeying, (round) => ({ line: Math.max(1, round - 1), body: `Still wrong, ${round}.` })),
    );

    const item = await parked(world);

    expect(item.reason).toStartWith("review_rounds: boss and the reviewer do not come to an end");
    expect(await roundsOf(world, "address-review")).toBe(2);
    expect(await roundsOf(world, "review")).toBe(3);
  }, 120_000);
});
