import { describe, expect, test } from "bun:test";
import { decide } from "../../src/domain/decide.ts";
import { changeKey } from "../../src/domain/disagreement.ts";
import type { Ledger } from "../../src/domain/ledger.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import {
  act,
  alice,
  boss,
  comment,
  HEAD,
  HEAD2,
  ledgerWith,
  lineComment,
  NOW,
  policyWith,
  pullWith,
  review,
  reviewer,
  runRecord,
  snapshotWith,
} from "../support/world.ts";

const HUNK = "@@ -1,3 +1,3 @@\n a\n+const a = 1;";
const OTHER = "@@ -9,3 +9,3 @@\n b\n+const b = 2;";
const FIRST = review({
  id: 901,
  state: "REQUEST_CHANGES",
  comments: [lineComment({ id: 951, line: 3, hunk: HUNK })],
});
/** A new remark about line 12, at the head that boss pushed since. */
const SECOND = review({
  id: 902,
  state: "REQUEST_CHANGES",
  commitId: HEAD2,
  comments: [lineComment({ id: 952, line: 12, hunk: OTHER, body: "And @alice <b>this</b>?" })],
});
/** The first remark again, at the same head. */
const AGAIN = review({ ...SECOND, commitId: HEAD, comments: FIRST.comments });
const REVIEWS = [
  runRecord({ id: "r1", agent: "reviewer", skill: "review", headSha: HEAD, shown: ["act:100"] }),
  runRecord({ id: "r3", agent: "reviewer", skill: "review", headSha: HEAD2, shown: ["act:100"] }),
];
const ANSWER = runRecord({
  agent: "boss",
  skill: "address-review",
  fingerprint: "boss/address-review/901(951)",
  headSha: HEAD,
});
const ANSWERS = [
  { ...ANSWER, id: "r2", shown: ["act:100", "review:901"] },
  { ...ANSWER, id: "r4", shown: ["act:100", "review:901", "review:902"] },
];
const ASKED_AGAIN = act({
  id: 110,
  kind: "review_requested",
  number: 2,
  actor: boss,
  subject: reviewer,
  at: NOW - 1000,
});

function decided(state: {
  snapshot?: Partial<Snapshot>;
  ledger?: Partial<Ledger>;
  touched?: readonly { path: string; from: number; to: number }[] | null;
}): string {
  const touched =
    state.touched === undefined ? [{ path: "src/slugify.ts", from: 1, to: 6 }] : state.touched;
  const decision = decide({
    snapshot: snapshotWith(state.snapshot),
    ledger: ledgerWith(state.ledger),
    policy: policyWith(),
    conflicts: false,
    changes: new Map(touched === null ? [] : [[changeKey(HEAD, HEAD2), touched]]),
    now: NOW,
  });
  if (decision.kind === "park")
    return `${decision.park.row} ${decision.park.name}: ${decision.park.reason}`;
  return decision.kind === "run" ? `run ${decision.order.skill}` : decision.kind;
}

describe("a reviewer that finds new things in old code", () => {
  const pull = pullWith({ headSha: HEAD2, reviews: [FIRST, SECOND] });
  const runs = [...REVIEWS];

  test("waits for a person, who is told what it is about and not pinged by an agent's words", () => {
    expect(decided({ snapshot: { pull }, ledger: { runs } })).toBe(
      "address-review disagreement: reviewer asks only for new things in code that it had reviewed before: `src/slugify.ts:12` (And alice b this /b); a comment here lets boss work on them",
    );
  });

  test.each<[string, Parameters<typeof decided>[0]]>([
    ["the line was changed since", { touched: [{ path: "src/slugify.ts", from: 10, to: 14 }] }],
    ["it is not known what was changed", { touched: null }],
    [
      "one remark of the round is a repeated one",
      {
        snapshot: {
          pull: {
            ...pull,
            reviews: [FIRST, { ...SECOND, comments: [...SECOND.comments, ...FIRST.comments] }],
          },
        },
      },
    ],
    ["a person has commented since", { snapshot: { pull, comments: [comment()] } }],
    ["an operator lets it go on", { ledger: { runs, continuedAfter: "r3" } }],
    [
      "it is a person who reviews",
      {
        snapshot: {
          pull: { ...pull, reviews: [FIRST, SECOND].map((one) => ({ ...one, author: alice })) },
        },
      },
    ],
    [
      "it approved in between",
      {
        snapshot: {
          pull: {
            ...pull,
            reviews: [FIRST, review({ ...SECOND, id: 903 })].toSpliced(1, 0, review({ id: 902 })),
          },
        },
      },
    ],
    ["it is the first round", { snapshot: { pull: { ...pull, reviews: [SECOND] } } }],
  ])("boss goes on when %s", (_, state) => {
    expect(
      decided({
        ...state,
        snapshot: { pull, ...state.snapshot },
        ledger: { runs, ...state.ledger },
      }),
    ).toBe("run address-review");
  });
});

describe("an author that answers without a change", () => {
  const pull = pullWith({ reviews: [FIRST, AGAIN] });
  const acts = [act({ subject: boss }), ASKED_AGAIN];
  const shown = (run: (typeof ANSWERS)[number]) => ({ ...run, shown: [...run.shown] });
  const runs = [...REVIEWS, ...ANSWERS.map(shown)];

  test("waits for a person after the second time: the reviewer is not asked again", () => {
    expect(decided({ snapshot: { pull, acts }, ledger: { runs } })).toBe(
      "review disagreement: boss answered reviewer twice without a change, and reviewer still demands one: `src/slugify.ts:3` (Wrong.); a comment here that says who is right lets them go on",
    );
  });

  test.each<[string, Parameters<typeof decided>[0]]>([
    [
      "it was the first time",
      {
        snapshot: { pull: { ...pull, reviews: [FIRST] } },
        ledger: { runs: [...REVIEWS, ...runs.slice(2, 3)] },
      },
    ],
    [
      "it changed something the second time",
      {
        ledger: {
          runs: [
            ...runs.slice(0, 3),
            {
              ...ANSWERS[1],
              ...ANSWER,
              id: "r4",
              pushedSha: HEAD2,
              shown: ["act:100", "review:901", "review:902"],
            },
          ],
        },
      },
    ],
    ["a person has commented since", { snapshot: { comments: [comment()] } }],
    ["an operator lets it go on", { ledger: { runs, continuedAfter: "r4" } }],
    [
      "a person asks for the review",
      { snapshot: { acts: [act({ subject: boss }), { ...ASKED_AGAIN, actor: alice }] } },
    ],
  ])("the reviewer is asked again when %s", (_, state) => {
    const snapshot = { pull, acts, ...state.snapshot };
    expect(decided({ snapshot, ledger: { runs, ...state.ledger } })).toBe("run review");
  });
});
