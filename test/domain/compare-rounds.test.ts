import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compareRounds, type TouchedLines } from "../../src/domain/compare-rounds.ts";
import type { LineComment } from "../../src/domain/snapshot.ts";
import { touchedLines } from "../../src/domain/touched-lines.ts";
import { lineComment } from "../support/world.ts";

const CODE = ["  return text;", "const a = 1;", "}", ""];
const remark: fc.Arbitrary<LineComment> = fc
  .record({
    id: fc.integer({ min: 1, max: 9999 }),
    path: fc.constantFrom("a.ts", "b.ts"),
    line: fc.integer({ min: 0, max: 30 }),
    body: fc.constantFrom("Wrong.", "Wrong here, too.", "Why?", "No."),
    hunk: fc.constantFrom(...CODE).map((code) => `@@ -1,2 +1,2 @@\n context\n+${code}`),
  })
  .map((row) => lineComment(row));
const remarks = fc.array(remark, { maxLength: 6 });
const touched: fc.Arbitrary<TouchedLines[]> = fc.array(
  fc
    .record({
      path: fc.constantFrom("a.ts", "b.ts"),
      from: fc.integer({ min: 1, max: 30 }),
      count: fc.integer({ min: 0, max: 10 }),
    })
    .map(({ path, from, count }) => ({ path, from, to: from + count })),
  { maxLength: 3 },
);
const ids = (rows: readonly LineComment[]): number[] => rows.map(({ id }) => id);
const RUNS = { numRuns: 500 };

describe("two rounds", () => {
  test("every remark is in exactly one list, in any state", () => {
    fc.assert(
      fc.property(remarks, remarks, fc.option(touched), (before, now, changed) => {
        const { same, fixed, newOnChanged, newOnOld } = compareRounds(before, now, changed);
        expect(ids([...same, ...newOnChanged, ...newOnOld]).toSorted()).toEqual(
          ids(now).toSorted(),
        );
        // A repeated remark takes exactly one of the older ones away.
        expect(fixed.length + same.length).toBe(before.length);
        expect(ids(before)).toEqual(expect.arrayContaining(ids(fixed)));
      }),
      RUNS,
    );
  });

  test("a round that is said again as it was is all the same, whatever was changed", () => {
    fc.assert(
      fc.property(remarks, fc.option(touched), (before, changed) => {
        const moved = before.map((one) => ({ ...one, id: one.id + 10_000, line: one.line + 3 }));
        const { same, fixed } = compareRounds(before, moved, changed);
        expect([same.length, fixed.length]).toEqual([before.length, 0]);
      }),
      RUNS,
    );
  });

  test("what is not known to be old never counts as old", () => {
    fc.assert(
      fc.property(remarks, remarks, touched, (before, now, changed) => {
        expect(compareRounds(before, now, null).newOnOld).toEqual([]);
        const everywhere = ["a.ts", "b.ts"].map((path) => ({ path, from: 0, to: 1000 }));
        expect(compareRounds(before, now, everywhere).newOnOld).toEqual([]);
        for (const old of compareRounds(before, now, changed).newOnOld) {
          const isTouched = changed.some(
            ({ path, from, to }) => path === old.path && from <= old.line && old.line <= to,
          );
          expect(isTouched || old.line === 0).toBe(false);
        }
      }),
      RUNS,
    );
  });

  test("the more was changed, the less is new on old code", () => {
    fc.assert(
      fc.property(remarks, remarks, touched, touched, (before, now, some, more) => {
        const few = compareRounds(before, now, [...some, ...more]).newOnOld;
        const many = compareRounds(before, now, some).newOnOld;
        expect(ids(many)).toEqual(expect.arrayContaining(ids(few)));
      }),
      RUNS,
    );
  });
});

test.each<[string, number, string, number, string, boolean]>([
  [
    "the same line that has moved",
    3,
    "@@ -1,3 +1,3 @@\n a\n b\n+c",
    9,
    "@@ -7,3 +7,3 @@\n a\n b\n c",
    true,
  ],
  [
    "two lines of one hunk",
    2,
    "@@ -1,3 +1,3 @@\n a\n b\n+c",
    3,
    "@@ -1,3 +1,3 @@\n a\n b\n+c",
    false,
  ],
  [
    "a line of a hunk that goes on, and the hunk that ends there",
    2,
    "@@ -1,3 +1,3 @@\n a\n-x\n+b\n c",
    2,
    "@@ -1,2 +1,2 @@\n a\n-x\n+b",
    true,
  ],
  ["hunks that are not there", 2, "", 2, "", false],
])("%s", (_, line, hunk, otherLine, otherHunk, isSame) => {
  const before = lineComment({ line, hunk, body: "one" });
  const now = lineComment({ line: otherLine, hunk: otherHunk, body: "two" });
  expect(compareRounds([before], [now], null).same).toHaveLength(isSame ? 1 : 0);
});

describe("the lines a diff touches", () => {
  test.each<[string, string, unknown]>([
    ["nothing", "", []],
    [
      "a changed line with its context",
      "diff --git a/x.ts b/x.ts\n--- a/x.ts\n+++ b/x.ts\n@@ -4,7 +4,7 @@ function\n a\n b\n c\n-d\n+D\n e\n f\n g\n",
      [{ path: "x.ts", from: 4, to: 10 }],
    ],
    [
      "a new file, and one line more in another",
      "--- /dev/null\n+++ b/n.ts\n@@ -0,0 +1,2 @@\n+a\n+b\n--- a/x y.ts\n+++ b/x y.ts\t\n@@ -3 +3,2 @@\n a\n+b\n\\ No newline at end of file\n",
      [
        { path: "n.ts", from: 1, to: 2 },
        { path: "x y.ts", from: 3, to: 4 },
      ],
    ],
    ["a file that is gone", "--- a/x.ts\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n", []],
    [
      "lines that look like a header",
      "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/fake\n-@@ -1,9 +1,9 @@\n+++ b/fake\n+@@ -1,9 +1,9 @@\n",
      [{ path: "x", from: 1, to: 2 }],
    ],
    ["a name in quotes", '--- "a/\\303\\244"\n+++ "b/\\303\\244"\n@@ -1 +1 @@\n-a\n+b\n', null],
    ["a diff that was cut in a hunk", "--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n a\n b\n", null],
  ])("%s", (_, diff, expected) => {
    expect<unknown>(touchedLines(diff)).toEqual(expected);
  });
});
