import { expect, test } from "bun:test";
import { type Counters, countAll, type Evidence, wentElsewhere } from "./count.ts";
import type { StubLife } from "./record.ts";

const life = (run: string, startedAt: number, tool: string | null): StubLife => ({
  run,
  startedAt,
  endedAt: startedAt + 10,
  skill: "implement",
  agent: "boss",
  number: 1,
  mode: "start",
  knows: [],
  done: tool === null ? [] : [{ tool, at: startedAt + 5 }],
});
const run = (id: string, outcome: string | null, fingerprint = "boss/implement/1") => ({
  id,
  number: 1,
  fingerprint,
  outcome,
  reason: null,
  session: "s1",
  resumed: false,
  owner: "one",
});
const text = (key: string, author = "boss") => ({
  author,
  body: `Words.\n\n<!-- claude-hooks:${key} -->`,
});

const FINE: Evidence = {
  answers: new Map([
    ["a", { statuses: [202, 200] }],
    ["b", { statuses: [] }],
    ["c", { statuses: [200] }],
  ]),
  delivered: new Set(["a", "c"]),
  items: [{ number: 1, waits: false, decision: "nothing", state: "idle", reason: "" }],
  marks: 0,
  runs: [run("r1", "cancelled"), run("r2", "asked"), run("r3", "succeeded", "boss/implement/1+9")],
  lives: [life("r1", 0, "reply"), life("r2", 20, "ask_human"), life("r3", 40, "open_pull_request")],
  overlaps: [],
  pulls: [{ item: 1 }, { item: 2 }],
  texts: [text("k|reply|1"), text("k|reply|2"), text("k|reply|1", "alice")],
};

test("what is fine is counted nowhere", () => {
  expect(Object.values(countAll(FINE))).toEqual(Array.from({ length: 7 }, () => 0));
});

const PLANTED: readonly (readonly [string, keyof Counters, Partial<Evidence>])[] = [
  ["an accepted delivery without a record", "lost", { delivered: new Set(["c"]) }],
  ["a mark that nobody took up", "lost", { marks: 1 }],
  [
    "an item that nobody looked at again",
    "lost",
    { items: [{ number: 1, waits: true, decision: "nothing", state: "idle", reason: "" }] },
  ],
  [
    "a delivery taken twice",
    "acceptedTwice",
    { answers: new Map([["a", { statuses: [202, 202] }]]) },
  ],
  [
    "an order without a run",
    "neverStarted",
    { items: [{ number: 1, waits: false, decision: "run implement", state: "idle", reason: "" }] },
  ],
  [
    "a run after one that ended well",
    "ranTwice",
    { runs: [run("r1", "succeeded"), run("r2", null)], lives: [] },
  ],
  [
    "a run after one that was told that it is done",
    "ranTwice",
    {
      runs: [run("r1", "cancelled"), run("r2", null)],
      lives: [life("r1", 0, "hand_in"), life("r2", 20, null)],
    },
  ],
  [
    "two at once",
    "overlapped",
    {
      overlaps: [
        { number: 1, older: "r1", newer: "r2" },
        { number: 1, older: "r1", newer: "r2" },
      ],
    },
  ],
  ["a second pull request", "pullsTooMany", { pulls: [{ item: 1 }, { item: 1 }] }],
  ["a comment twice", "doubled", { texts: [text("k|reply|1"), text("k|reply|1")] }],
];

test.each(PLANTED)("%s is counted once, under %s", (_what, counter, planted) => {
  const counted = countAll({ ...FINE, ...planted });

  expect(counted).toEqual({ ...countAll(FINE), [counter]: 1 });
});

const CUT = { ...run("r1", "cancelled"), reason: "the service was stopped" };
const NEXT = { ...run("r2", "succeeded"), resumed: true, owner: "two" };
const LATE = { ...CUT, reason: "its worker was not heard of until the lease ran out" };
const KNOWING = { ...life("r2", 20, null), knows: ["r1"] };
const NOWHERE = { resumed: 0, remembered: 0, afterLease: 0 };
const COMES_TO: readonly (readonly [string, Evidence["runs"], Evidence["lives"], object])[] = [
  ["at the other service", [CUT, NEXT], [], { resumed: 1, remembered: 0, afterLease: 0 }],
  ["with its words", [CUT, NEXT], [KNOWING], { resumed: 1, remembered: 1, afterLease: 0 }],
  ["after a lease", [LATE, NEXT], [], { resumed: 1, remembered: 0, afterLease: 1 }],
  ["where it was", [CUT, { ...NEXT, owner: "one" }], [KNOWING], NOWHERE],
  ["in a new session", [CUT, { ...NEXT, resumed: false }], [KNOWING], NOWHERE],
  ["after a run that had ended well", [run("r1", "succeeded"), NEXT], [KNOWING], NOWHERE],
];

test.each(COMES_TO)("what goes on %s", (_where, runs, lives, counted) => {
  expect(wentElsewhere({ runs, lives })).toEqual(counted as ReturnType<typeof wentElsewhere>);
});
