import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Event, type Outcome, play } from "./play.ts";
import { type StoryForge, storyForge } from "./story-forge.ts";

const EXPECTED: Omit<Outcome, "happened"> = {
  runs: [
    "boss implement succeeded",
    "reviewer review succeeded",
    "boss address-review succeeded",
    "reviewer review succeeded",
    "code-lead merge succeeded",
  ],
  forge: {
    issue: "closed",
    pulls: ["2 merged"],
    branches: ["main"],
    comments: 0,
    reviews: ["reviewer REQUEST_CHANGES", "boss COMMENT", "reviewer APPROVED"],
  },
  sessions: 0,
};

let forge: StoryForge;
beforeAll(async () => {
  forge = await storyForge();
}, 20_000);
afterAll(async () => await forge?.[Symbol.asyncDispose]());

/** Stories played with random schedules; SCHEDULES=300 plays more of them, SCHEDULE_SEED repeats some. */
const COUNT = Number(process.env["SCHEDULES"] ?? 15);
const STORY_MS_MAX = 20_000;
const { SCHEDULE_SEED: seed } = process.env;

const which = fc.nat(20);
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("deliver" as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("double" as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("twin" as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("drop" as const), which }) },
  { weight: 2, arbitrary: fc.constant({ kind: "sweep" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "restart" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "nothing" as const }) },
);

const NAMED: readonly (readonly [string, readonly Event[]])[] = [
  ["everything is lost", []],
  ["everything arrives at once", of("deliver", 80)],
  ["everything arrives twice", of("double", 80)],
  ["everything is sent by two hooks", of("twin", 80)],
  ["the newest arrives first", Array.from({ length: 80 }, () => ({ kind: "deliver", which: 20 }))],
  ["the service is restarted after every step", of("restart", 60)],
  ["a sweep comes after every step and in every run", of("sweep", 60)],
];

function of(kind: Event["kind"], count: number): readonly Event[] {
  return Array.from({ length: count }, () => ({ kind, which: 0 }) as Event);
}

describe("the same story, whatever becomes of its webhooks", () => {
  test.each(NAMED)(
    "%s",
    async (_name, schedule) => {
      const { happened, ...outcome } = await play(forge, schedule);
      expect(outcome).toEqual(EXPECTED);
      const [first] = schedule;
      if (first !== undefined) expect(happened[first.kind]).toBeGreaterThan(3);
    },
    STORY_MS_MAX,
  );

  test(
    `lost, doubled, late, out of order, with sweeps and restarts in between: ${COUNT} times the same end and the same runs`,
    async () => {
      const happened: Record<string, number> = {};
      await fc.assert(
        fc.asyncProperty(fc.array(event, { minLength: 10, maxLength: 60 }), async (schedule) => {
          const { happened: once, ...outcome } = await play(forge, schedule);
          for (const [kind, count] of Object.entries(once)) {
            happened[kind] = (happened[kind] ?? 0) + count;
          }
          expect(outcome).toEqual(EXPECTED);
        }),
        { numRuns: COUNT, ...(seed === undefined ? {} : { seed: Number(seed) }) },
      );
      expect(Object.keys(happened).toSorted()).toEqual([
        ...["deliver", "double", "drop", "restart", "sweep", "twin"],
      ]);
    },
    COUNT * STORY_MS_MAX,
  );
});
