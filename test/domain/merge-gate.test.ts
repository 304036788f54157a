import { expect, test } from "bun:test";
import fc from "fast-check";
import { mergeGate } from "../../src/domain/merge-gate.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Pull, Review } from "../../src/domain/snapshot.ts";
import {
  alice,
  boss,
  check,
  HEAD,
  HEAD2,
  lead,
  mallory,
  policyWith,
  pullWith,
  review,
  reviewer,
  snapshotWith,
} from "../support/world.ts";

interface Case {
  readonly when: string;
  readonly pull?: Partial<Pull>;
  readonly policy?: Partial<Policy["repository"]>;
  readonly tainted?: boolean;
  readonly answer: string;
}

const byReviewer = review();
const byAlice = review({ id: 901, author: alice });
const personNeeded = { approvals: { any: 1, people: 1 } };

test.each<Case>([
  { when: "the reviewer approved the head", pull: { reviews: [byReviewer] }, answer: "open" },
  { when: "nobody approved", answer: "approvals" },
  { when: "it is closed", pull: { state: "closed", reviews: [byReviewer] }, answer: "ended" },
  { when: "it is merged", pull: { merged: true, reviews: [byReviewer] }, answer: "ended" },
  { when: "it is a draft", pull: { draft: true, reviews: [byReviewer] }, answer: "draft" },
  { when: "it is a fork's", pull: { sameRepo: false, reviews: [byReviewer] }, answer: "fork" },
  { when: "it goes elsewhere", pull: { baseBranch: "dev", reviews: [byReviewer] }, answer: "base" },
  {
    when: "agents only propose",
    pull: { reviews: [byReviewer] },
    policy: { autonomy: "propose" },
    answer: "autonomy",
  },
  {
    when: "agents only review",
    pull: { reviews: [byReviewer] },
    policy: { autonomy: "review" },
    answer: "autonomy",
  },
  {
    when: "the approval is of another head",
    pull: { reviews: [{ ...byReviewer, commitId: HEAD2 }] },
    answer: "approvals",
  },
  { when: "it is stale", pull: { reviews: [{ ...byReviewer, stale: true }] }, answer: "approvals" },
  {
    when: "it is not official",
    pull: { reviews: [{ ...byReviewer, official: false }] },
    answer: "approvals",
  },
  {
    when: "it was dismissed",
    pull: { reviews: [{ ...byReviewer, dismissed: true }] },
    answer: "approvals",
  },
  {
    when: "it is a stranger's",
    pull: { reviews: [{ ...byReviewer, author: mallory }] },
    answer: "approvals",
  },
  {
    when: "it is the author's own",
    pull: { reviews: [{ ...byReviewer, author: boss }] },
    answer: "approvals",
  },
  {
    when: "a person is needed and only an agent approved",
    pull: { reviews: [byReviewer] },
    policy: personNeeded,
    answer: "person",
  },
  {
    when: "two agents approved but a person is needed",
    pull: { reviews: [byReviewer, review({ id: 902, author: lead })] },
    policy: personNeeded,
    answer: "person",
  },
  {
    when: "a person is needed and approved",
    pull: { reviews: [byAlice] },
    policy: personNeeded,
    answer: "open",
  },
  {
    when: "two are needed and one approved twice",
    pull: { reviews: [byReviewer, { ...byReviewer, id: 950 }] },
    policy: { approvals: { any: 2, people: 0 } },
    answer: "approvals",
  },
  {
    when: "a writer requested changes on an older head",
    pull: {
      reviews: [byReviewer, { ...byAlice, state: "REQUEST_CHANGES", commitId: HEAD2, stale: true }],
    },
    answer: "changes_requested",
  },
  {
    when: "a stranger requested changes",
    pull: { reviews: [byReviewer, { ...byAlice, author: mallory, state: "REQUEST_CHANGES" }] },
    answer: "open",
  },
  {
    when: "the approver asked for changes afterwards",
    pull: { reviews: [byReviewer, { ...byReviewer, id: 950, state: "REQUEST_CHANGES" }] },
    answer: "changes_requested",
  },
  {
    when: "a comment came after the approval",
    pull: { reviews: [byReviewer, { ...byReviewer, id: 950, state: "COMMENT" }] },
    answer: "open",
  },
  {
    when: "a check failed although none is needed",
    pull: { reviews: [byReviewer], checks: [check({ state: "error" })] },
    answer: "checks_failed",
  },
  {
    when: "all checks are needed and there is none",
    pull: { reviews: [byReviewer] },
    policy: { checks: "all" },
    answer: "checks_pending",
  },
  {
    when: "a named check is missing",
    pull: { reviews: [byReviewer], checks: [check({ context: "other" })] },
    policy: { checks: ["ci/test"] },
    answer: "checks_pending",
  },
  {
    when: "the named check is green and another one failed",
    pull: { reviews: [byReviewer], checks: [check(), check({ context: "x", state: "failure" })] },
    policy: { checks: ["ci/test"] },
    answer: "open",
  },
  {
    when: "a protected path is touched",
    pull: { reviews: [byReviewer], changedPaths: [".forgejo/workflows/ci.yaml"] },
    answer: "protected",
  },
  {
    when: "a protected path is touched and a person approved this head",
    pull: { reviews: [byReviewer, byAlice], changedPaths: [".forgejo/workflows/ci.yaml"] },
    answer: "open",
  },
  {
    when: "a stranger's text took part",
    pull: { reviews: [byReviewer] },
    tainted: true,
    answer: "protected",
  },
  {
    when: "a stranger's text took part and a person approved this head",
    pull: { reviews: [byAlice] },
    tainted: true,
    answer: "open",
  },
])("the gate when $when: $answer", ({ pull, policy, tainted, answer }) => {
  const gate = mergeGate(pullWith(pull), snapshotWith(), {
    policy: policyWith(policy),
    tainted: tainted ?? false,
  });

  expect(gate.open ? "open" : gate.name).toBe(answer);
});

test("whatever the reviews, an open gate has an approval of exactly this head by a writer who is not the author", () => {
  const someReview = fc.record<Review>({
    id: fc.integer({ min: 1, max: 50 }),
    author: fc.constantFrom(alice, boss, reviewer, lead, mallory),
    state: fc.constantFrom("APPROVED", "REQUEST_CHANGES", "COMMENT", "REQUEST_REVIEW"),
    commitId: fc.constantFrom(HEAD, HEAD2),
    official: fc.boolean(),
    stale: fc.boolean(),
    dismissed: fc.boolean(),
    body: fc.constant(""),
    submittedAt: fc.constant(0),
    comments: fc.constant([]),
  });
  const snapshot = snapshotWith();
  fc.assert(
    fc.property(
      fc.uniqueArray(someReview, { selector: ({ id }) => id, maxLength: 8 }),
      fc.integer({ min: 0, max: 2 }),
      (reviews, people) => {
        const gate = mergeGate(pullWith({ reviews }), snapshot, {
          policy: policyWith({ approvals: { any: 1, people } }),
          tainted: false,
        });
        if (!gate.open) return;
        const good = reviews.filter(
          (one) =>
            one.state === "APPROVED" &&
            one.commitId === HEAD &&
            one.official &&
            !one.stale &&
            !one.dismissed &&
            one.author !== boss &&
            one.author !== mallory,
        );
        expect(good.length).toBeGreaterThan(0);
        expect(good.filter(({ author }) => author === alice).length).toBeGreaterThanOrEqual(
          Math.min(people, 1),
        );
      },
    ),
    { numRuns: 500 },
  );
});

/** Every value of every thing that may close the gate. */
const STATES = {
  official: [true, false],
  stale: [false, true],
  dismissed: [false, true],
  by: [alice, reviewer, boss, mallory],
  of: [HEAD, HEAD2],
  base: ["main", "dev"],
  check: ["success", "failure", "pending", "missing"],
  tainted: [false, true],
  isProtected: [false, true],
  ended: ["open", "closed", "merged"],
  objection: ["none", "writer", "stranger"],
} as const;

type State = { -readonly [K in keyof typeof STATES]: (typeof STATES)[K][number] };

function everyState(): State[] {
  return Object.entries(STATES).reduce<Record<string, unknown>[]>(
    (all, [name, values]) =>
      all.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  ) as State[];
}

function gateOf(one: State, unprotected = false) {
  const { official, stale, dismissed } = one;
  const approval = review({ official, stale, dismissed, author: one.by, commitId: one.of });
  const objector = { id: 77, login: "carol" };
  const objection = review({
    id: 990,
    state: "REQUEST_CHANGES",
    author: one.objection === "writer" ? objector : { id: 78, login: "mallory2" },
  });
  const state = one.check === "missing" ? null : one.check;
  const pull = pullWith({
    reviews: one.objection === "none" ? [approval] : [approval, objection],
    checks: state === null ? [] : [check({ state })],
    baseBranch: one.base,
    state: one.ended === "open" ? "open" : "closed",
    merged: one.ended === "merged",
    changedPaths: one.isProtected ? ["src/a.ts", ".forgejo/workflows/ci.yaml"] : ["src/a.ts"],
  });
  const snapshot = snapshotWith({ writers: [alice, boss, reviewer, lead, objector] });
  const policy = policyWith({ checks: "all", ...(unprotected ? { protectedPaths: [] } : {}) });
  return mergeGate(pull, snapshot, { policy, tainted: one.tainted });
}

test("in every combination of its states the gate is open exactly where all of them allow it", () => {
  const states = everyState();
  let open = 0;
  for (const one of states) {
    const isApproved =
      one.official &&
      !one.stale &&
      !one.dismissed &&
      one.of === HEAD &&
      (one.by === alice || one.by === reviewer);
    const needsPerson = one.tainted || one.isProtected;
    const expected =
      isApproved &&
      (!needsPerson || one.by === alice) &&
      one.base === "main" &&
      one.check === "success" &&
      one.ended === "open" &&
      one.objection !== "writer";
    const gate = gateOf(one);
    if (gate.open !== expected)
      expect({ ...one, open: gate.open }).toEqual({ ...one, open: expected });
    if (gate.open) open += 1;
  }
  expect(states).toHaveLength(18_432);
  expect(open).toBe(10);
});

test("control: with no path protected the same states open it more often", () => {
  const open = everyState().filter((one) => gateOf(one, true).open);
  expect(open).toHaveLength(12);
});
