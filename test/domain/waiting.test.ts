import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decide } from "../../src/domain/decide.ts";
import type { Outcome } from "../../src/domain/ledger.ts";
import { retryPark } from "../../src/domain/retry-park.ts";
import {
  act,
  boss,
  comment,
  ledgerWith,
  NOW,
  policyWith,
  runRecord,
  snapshotWith,
} from "../support/world.ts";

const assigned = snapshotWith({ acts: [act({ subject: boss })], assignees: [boss] });
const order = decide({
  snapshot: assigned,
  ledger: ledgerWith(),
  policy: policyWith(),
  conflicts: false,
  now: NOW,
});
const fingerprint = order.kind === "run" ? order.order.fingerprint : "";

/** What is decided after runs of the same order that ended like this, long ago. */
function decidedAfter(outcomes: readonly Outcome[], change: Partial<typeof assigned> = {}) {
  const runs = outcomes.map((outcome, index) =>
    runRecord({ id: `r${index}`, fingerprint, outcome, endedAt: NOW - 3_600_000 }),
  );
  return decide({
    snapshot: { ...assigned, ...change },
    ledger: ledgerWith({ runs }),
    policy: policyWith(),
    conflicts: false,
    now: NOW,
  });
}

describe("a run that fell silent", () => {
  test("is resumed once", () => {
    expect(decidedAfter(["stalled"])).toMatchObject({ kind: "run" });
    expect(decidedAfter(["stalled", "failed", "stalled"])).toMatchObject({
      park: { name: "failures" },
    });
  });

  test("is parked for a person when it falls silent again, and a comment lets it go on", () => {
    expect(decidedAfter(["stalled", "stalled"])).toMatchObject({
      kind: "park",
      park: { row: "implement", name: "stalled", until: null },
    });
    expect(decidedAfter(["stalled", "stalled"], { comments: [comment()] })).toMatchObject({
      kind: "run",
    });
  });
});

test("product failures are retried as often as configured and no more; blockers count to nothing", () => {
  const { failures } = policyWith().limits;
  const ends = fc.array(fc.constantFrom<Outcome>("failed", "timed_out", "parked", "cancelled"), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(ends, (outcomes) => {
      const failed = outcomes.filter((end) => end === "failed" || end === "timed_out").length;
      const counted = outcomes.filter((end) => end !== "parked").length;
      const decision = decidedAfter(outcomes);
      if (counted >= policyWith().limits.runsPerItem) {
        expect(decision).toMatchObject({ kind: "park", park: { name: "runs_per_item" } });
      } else if (failed >= failures) {
        expect(decision).toMatchObject({ kind: "park", park: { name: "failures" } });
      } else expect(decision).toMatchObject({ kind: "run" });
    }),
  );
});

test("the same hindrance waits longer each time; another one begins anew", () => {
  const backoff = { firstMs: 10, mostMs: 60 };
  const wish = { row: "review", name: "a", reason: "r", until: null, backoff } as const;
  const state = { now: 1000, chance: 0.5 };
  const first = retryPark(wish, { ...state, earlier: [] });
  expect(first).toMatchObject({ until: 1010, attempt: 1, since: 1000 });
  const second = retryPark(wish, { ...state, now: 1010, earlier: [first] });
  expect(second).toMatchObject({ until: 1030, attempt: 2, since: 1000 });
  const other = retryPark({ ...wish, name: "b" }, { ...state, earlier: [second] });
  expect(other.attempt).toBe(1);
  expect(retryPark({ ...wish, row: "merge" }, { ...state, earlier: [second] }).attempt).toBe(1);
  expect(retryPark({ ...wish, until: 99_999 }, { ...state, earlier: [] }).until).toBe(99_999);
});
