import { describe, expect, test } from "bun:test";
import {
  CHANGE_BYTES_MAX,
  CHANGE_FILES_MAX,
  CHANGE_LINES_MAX,
  type Change,
  whyGuarded,
} from "../../src/domain/change.ts";
import { decide } from "../../src/domain/decide.ts";
import { mergeGate } from "../../src/domain/merge-gate.ts";
import {
  alice,
  ledgerWith,
  NOW,
  policyWith,
  pullWith,
  review,
  runRecord,
  snapshotWith,
} from "../support/world.ts";

const SMALL: Change = { paths: ["a.ts"], lines: 3, bytes: 100, links: [], complete: true };
const policy = policyWith({ protectedPaths: [".forgejo/**", "**/bun.lock", "CLAUDE.md"] });

function files(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `src/${index}.ts`);
}

const CASES: readonly (readonly [string, Partial<Change>, string | null])[] = [
  ["a small one", {}, null],
  ["a workflow", { paths: [".forgejo/workflows/ci.yml"] }, "it changes .forgejo/workflows/ci.yml"],
  [
    "a lockfile anywhere",
    { paths: ["a.ts", "packages/x/bun.lock"] },
    "it changes packages/x/bun.lock",
  ],
  ["a lockfile at the top", { paths: ["bun.lock"] }, "it changes bun.lock"],
  ["as many files as may be", { paths: files(CHANGE_FILES_MAX) }, null],
  ["one file too many", { paths: files(CHANGE_FILES_MAX + 1) }, "it changes more than 100 files"],
  ["as many lines as may be", { lines: CHANGE_LINES_MAX }, null],
  ["one line too many", { lines: CHANGE_LINES_MAX + 1 }, "it changes more than 5000 lines"],
  ["as many bytes as may be", { bytes: CHANGE_BYTES_MAX }, null],
  ["one byte too many", { bytes: CHANGE_BYTES_MAX + 1 }, "its files have more than 2 MB"],
  ["a link", { links: ["docs/x"] }, "it makes docs/x a symbolic link or a submodule"],
  ["one that was not read to its end", { complete: false }, "it is too large to be looked through"],
];

describe.each(CASES)("a change with %s", (_, part, why) => {
  const change: Change = { ...SMALL, ...part };

  test(`is ${why === null ? "merged without" : "looked at by"} a person`, () => {
    expect(whyGuarded(change, [], policy)).toBe(why);
  });

  test.each([
    ["an agent alone has approved", [review()], why === null],
    [
      "a person has approved exactly this head",
      [review(), review({ id: 901, author: alice })],
      true,
    ],
    [
      "a person has approved another head",
      [review(), review({ id: 901, author: alice, commitId: "d".repeat(40) })],
      why === null,
    ],
  ] as const)("when %s", (_how, reviews, isOpen) => {
    const pull = pullWith({ reviews, changedPaths: [] });
    const gate = mergeGate(pull, snapshotWith({ pull }), { policy, tainted: false, change });
    expect(gate.open).toBe(isOpen);
    if (!gate.open)
      expect(gate).toMatchObject({
        name: "protected",
        reason: expect.stringContaining(why ?? "") as unknown,
      });
  });
});

test("what git has counted parks the merge until a person approves", () => {
  const pull = pullWith({ reviews: [review()] });
  const state = {
    snapshot: snapshotWith({ pull }),
    ledger: ledgerWith(),
    policy,
    conflicts: false,
    now: NOW,
  };
  const large = { ...SMALL, lines: CHANGE_LINES_MAX + 1 };
  expect(decide({ ...state, branchChange: large })).toMatchObject({
    kind: "park",
    park: { row: "merge", name: "person" },
  });
  expect(decide({ ...state, branchChange: SMALL })).toMatchObject({
    kind: "run",
    order: { skill: "merge" },
  });
});

test("the forge's own list of paths counts as well, also when git could not be asked", () => {
  expect(whyGuarded(null, ["CLAUDE.md"], policy)).toBe("it changes CLAUDE.md");
  expect(whyGuarded(null, files(CHANGE_FILES_MAX + 1), policy)).toBe(
    "it changes more than 100 files",
  );
  expect(whyGuarded(SMALL, ["CLAUDE.md"], policy)).toBe("it changes CLAUDE.md");
});

describe("after a branch that moved twice", () => {
  const moved = runRecord({
    outcome: "parked",
    reason: "branch moved: alice pushes to boss/1 while boss works on it",
  });
  const state = { policy, conflicts: false, now: NOW };

  test("the item waits for a person and says why", () => {
    const snapshot = snapshotWith();
    const decision = decide({ ...state, snapshot, ledger: ledgerWith({ runs: [moved] }) });
    expect(decision).toMatchObject({
      kind: "park",
      park: {
        row: "implement",
        name: "branch moved",
        reason: "alice pushes to boss/1 while boss works on it",
        until: null,
      },
    });
  });

  test("a permitted person's comment lets it go on", () => {
    const comments = [
      { id: 7, number: 1, author: alice, body: "Go on.", createdAt: NOW, updatedAt: NOW },
    ];
    const snapshot = snapshotWith({ comments });
    const decision = decide({ ...state, snapshot, ledger: ledgerWith({ runs: [moved] }) });
    expect(decision).toMatchObject({ kind: "run", order: { skill: "implement" } });
  });
});
