import { expect, test } from "bun:test";
import fc from "fast-check";
import { decide } from "../../src/domain/decide.ts";
import type { Ledger, RunRecord } from "../../src/domain/ledger.ts";
import { mayGoOn } from "../../src/domain/may-go-on.ts";
import type { Act, Comment, Pull, Review, Snapshot } from "../../src/domain/snapshot.ts";
import {
  act,
  alice,
  boss,
  comment,
  HEAD,
  HEAD2,
  lead,
  ledgerWith,
  lineComment,
  mallory,
  NOW,
  policyWith,
  pullWith,
  review,
  reviewer,
  runRecord,
  snapshotWith,
} from "../support/world.ts";

const account = fc.constantFrom(alice, boss, reviewer, lead, mallory);
const when = fc.integer({ min: NOW - 100_000, max: NOW }).map((ms) => ms - (ms % 1000));
const someAct: fc.Arbitrary<Act> = fc
  .record({
    id: fc.integer({ min: 1, max: 99 }),
    kind: fc.constantFrom<Act["kind"][]>(
      "assigned",
      "unassigned",
      "reopened",
      "review_requested",
      "review_request_removed",
    ),
    number: fc.constantFrom(1, 2),
    actor: account,
    subject: account,
    at: when,
  })
  .map((row) => act(row));
const someComment: fc.Arbitrary<Comment> = fc
  .record({
    id: fc.integer({ min: 100, max: 199 }),
    number: fc.constantFrom(1, 2),
    author: account,
    body: fc.constantFrom("hm", "@boss continue", "@reviewer look", "@code-lead merge"),
    createdAt: when,
  })
  .map((row) => comment(row));
const someReview: fc.Arbitrary<Review> = fc
  .record({
    id: fc.integer({ min: 200, max: 299 }),
    author: account,
    state: fc.constantFrom<Review["state"][]>(
      "APPROVED",
      "REQUEST_CHANGES",
      "COMMENT",
      "REQUEST_REVIEW",
    ),
    commitId: fc.constantFrom(HEAD, HEAD2),
    official: fc.boolean(),
    dismissed: fc.boolean(),
    submittedAt: when,
    comments: fc.constantFrom([], [lineComment()]),
  })
  .map((row) => review(row));
const unique = <T extends { id: number }>(rows: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc
    .uniqueArray(rows, { selector: ({ id }) => id, maxLength: 5 })
    .map((list) => list.sort((a, b) => a.id - b.id));
const somePull: fc.Arbitrary<Pull> = fc
  .record({
    author: fc.constantFrom(boss, alice, mallory),
    draft: fc.boolean(),
    sameRepo: fc.boolean(),
    reviews: unique(someReview),
    ended: fc.boolean(),
    merged: fc.boolean(),
  })
  .map(({ ended, merged, ...rest }) =>
    pullWith({
      ...rest,
      state: ended ? "closed" : "open",
      merged: ended && merged,
      endedAt: ended ? NOW - 3000 : null,
    }),
  );
const someSnapshot: fc.Arbitrary<Snapshot> = fc
  .record({
    state: fc.constantFrom<Snapshot["state"][]>("open", "open", "closed"),
    author: account,
    assignees: fc.uniqueArray(fc.constantFrom(boss, reviewer, alice), { maxLength: 2 }),
    acts: unique(someAct),
    comments: unique(someComment),
    pull: fc.option(somePull, { nil: null }),
  })
  .map((row) => snapshotWith(row));
const someRun: fc.Arbitrary<RunRecord> = fc
  .record({
    outcome: fc.constantFrom<RunRecord["outcome"][]>(
      "succeeded",
      "asked",
      "failed",
      "cancelled",
      "declined",
    ),
    shown: fc.subarray(["comment:100", "comment:150", "review:200", "review:250"]),
  })
  .map((row) => runRecord(row));
const someLedger: fc.Arbitrary<Ledger> = fc
  .record({
    runs: fc.array(someRun, { maxLength: 3 }),
    leftovers: fc.constantFrom(
      { sessions: 0, clones: 0, branches: [] },
      { sessions: 1, clones: 1, branches: ["boss/1"] },
    ),
  })
  .map((row) => ledgerWith(row));

const decideOn = (snapshot: Snapshot, ledger: Ledger) =>
  decide({ snapshot, ledger, policy: policyWith(), conflicts: false, now: NOW });

test("the same state gives the same answer", () => {
  fc.assert(
    fc.property(someSnapshot, someLedger, (snapshot, ledger) => {
      expect(decideOn(structuredClone(snapshot), ledger)).toEqual(decideOn(snapshot, ledger));
    }),
  );
});

test("nothing a stranger writes, reviews or does changes what is run", () => {
  const strip = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    comments: snapshot.comments.filter(({ author }) => author !== mallory),
    acts: snapshot.acts.filter(({ actor }) => actor !== mallory),
    pull:
      snapshot.pull === null
        ? null
        : {
            ...snapshot.pull,
            reviews: snapshot.pull.reviews.filter(({ author }) => author !== mallory),
          },
  });
  fc.assert(
    fc.property(someSnapshot, someLedger, (snapshot, ledger) => {
      // An assignee that only a stranger's act explains is nobody's trigger either way.
      fc.pre(snapshot.author !== mallory);
      // And no forge lets somebody without write access (un)assign.
      fc.pre(!snapshot.acts.some(({ kind, actor }) => /assigned/u.test(kind) && actor === mallory));
      const withStranger = decideOn(snapshot, ledger);
      const without = decideOn(strip(snapshot), ledger);
      if (withStranger.kind === "run") expect(without).toEqual(withStranger);
    }),
    { numRuns: 1000 },
  );
});

test("a fulfilled order is never given again, and no agent is put to work on its own words", () => {
  fc.assert(
    fc.property(someSnapshot, someLedger, (snapshot, ledger) => {
      const decision = decideOn(snapshot, ledger);
      if (decision.kind !== "run") return;
      const { order } = decision;
      const again = decideOn(snapshot, {
        ...ledger,
        runs: [
          ...ledger.runs,
          runRecord({
            agent: order.agent,
            skill: order.skill,
            fingerprint: order.fingerprint,
            outcome: "succeeded",
            shown: [
              ...snapshot.comments.map(({ id }) => `comment:${id}`),
              ...(snapshot.pull?.reviews ?? []).map(({ id }) => `review:${id}`),
            ],
          }),
        ],
      });
      if (again.kind === "run") expect(again.order.fingerprint).not.toBe(order.fingerprint);
      expect(order.asked?.person.login).not.toBe(order.agent);
    }),
    { numRuns: 1000 },
  );
});

test("a run that is decided may go on in the same state: no order ends before it begins", () => {
  fc.assert(
    fc.property(someSnapshot, someLedger, (snapshot, ledger) => {
      const decision = decideOn(snapshot, ledger);
      if (decision.kind !== "run") return;
      const policy = policyWith();
      expect(mayGoOn(decision.order, { snapshot, policy, done: false })).toEqual({
        ok: true,
      });
    }),
    { numRuns: 1000 },
  );
});

test("on a closed issue nothing is run, and a cleanup ends when nothing is left", () => {
  fc.assert(
    fc.property(someSnapshot, someLedger, (snapshot, ledger) => {
      const decision = decideOn({ ...snapshot, state: "closed" }, ledger);
      expect(decision.kind).toBe(ledger.leftovers.clones > 0 ? "cleanup" : "nothing");
    }),
  );
});
