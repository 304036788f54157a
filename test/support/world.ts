import type { Ledger, RunRecord } from "../../src/domain/ledger.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type {
  Account,
  Act,
  Check,
  Comment,
  LineComment,
  Pull,
  Review,
  Snapshot,
} from "../../src/domain/snapshot.ts";

/** People and agents of the story all domain tests are about. */
export const alice: Account = { id: 2, login: "alice" };
export const mallory: Account = { id: 66, login: "mallory" };
export const boss: Account = { id: 21, login: "boss" };
export const reviewer: Account = { id: 22, login: "reviewer" };
export const lead: Account = { id: 23, login: "code-lead" };

export const NOW = 1_800_000_000_000;
export const HEAD = "a".repeat(40);
export const HEAD2 = "b".repeat(40);

export function policyWith(change: Partial<Policy["repository"]> = {}): Policy {
  return {
    agents: [
      {
        name: "boss",
        login: "boss",
        skills: ["implement", "address-review", "fix-checks", "update-branch", "respond"],
      },
      { name: "reviewer", login: "reviewer", skills: ["review", "respond"] },
      { name: "code-lead", login: "code-lead", skills: ["merge", "respond"] },
    ],
    repository: {
      repo: "acme/widgets",
      autonomy: "merge",
      base: "main",
      checks: "none",
      trigger: { assignee: true, label: null },
      mayTrigger: "write",
      review: "agents",
      approvals: { any: 1, people: 0 },
      mergeStyle: "merge",
      protectedPaths: [".forgejo/**", "CLAUDE.md"],
      ...change,
    },
    limits: {
      runs: 4,
      runsPerAgent: 2,
      runsPerItem: 20,
      reviewRounds: 3,
      failures: 3,
      checkRounds: 3,
      checksMinutes: 120,
      runMinutes: 60,
      stallMinutes: 10,
      graceHours: 24,
      usdPerRun: 5,
      usdPerItem: 20,
      usdPerDay: 100,
      tokensPerDay: null,
      resumes: 20,
      contextTokens: 120_000,
      sessionDays: 7,
    },
  };
}

export function snapshotWith(change: Partial<Snapshot> = {}): Snapshot {
  return {
    item: { repo: "acme/widgets", number: 1 },
    kind: "issue",
    title: "slugify drops accented letters",
    body: "It does.",
    author: alice,
    state: "open",
    assignees: [boss],
    labels: [],
    createdAt: NOW - 60_000,
    updatedAt: NOW - 60_000,
    comments: [],
    acts: [act({ subject: boss })],
    pull: null,
    writers: [alice, boss, reviewer, lead],
    readAt: NOW,
    ...change,
  };
}

export function act(change: Partial<Act> = {}): Act {
  return {
    id: 100,
    kind: "assigned",
    number: 1,
    actor: alice,
    subject: null,
    label: null,
    at: NOW - 59_000,
    ...change,
  };
}

export function comment(change: Partial<Comment> = {}): Comment {
  return {
    id: 500,
    number: 1,
    author: alice,
    body: "Please use NFD.",
    createdAt: NOW - 30_000,
    updatedAt: NOW - 30_000,
    ...change,
  };
}

export function pullWith(change: Partial<Pull> = {}): Pull {
  return {
    number: 2,
    title: "slugify keeps accented letters",
    body: "Closes #1",
    author: boss,
    state: "open",
    merged: false,
    draft: false,
    headBranch: "boss/1",
    headSha: HEAD,
    sameRepo: true,
    baseBranch: "main",
    baseSha: "c".repeat(40),
    requestedReviewers: [],
    reviews: [],
    checks: [],
    changedPaths: ["src/slugify.ts"],
    createdAt: NOW - 20_000,
    updatedAt: NOW - 20_000,
    endedAt: null,
    ...change,
  };
}

export function review(change: Partial<Review> = {}): Review {
  return {
    id: 900,
    author: reviewer,
    state: "APPROVED",
    commitId: HEAD,
    official: true,
    stale: false,
    dismissed: false,
    body: "",
    submittedAt: NOW - 10_000,
    comments: [],
    ...change,
  };
}

export function lineComment(change: Partial<LineComment> = {}): LineComment {
  return {
    id: 950,
    path: "src/slugify.ts",
    line: 5,
    body: "Wrong.",
    hunk: "",
    createdAt: NOW - 10_000,
    ...change,
  };
}

export function check(change: Partial<Check> = {}): Check {
  return { context: "ci/test", state: "success", description: "", at: NOW, ...change };
}

export function runRecord(change: Partial<RunRecord> = {}): RunRecord {
  return {
    id: "run-1",
    agent: "boss",
    skill: "implement",
    attempt: 1,
    fingerprint: "boss/implement/act:100",
    session: "session-1",
    resumed: false,
    startedAt: NOW - 50_000,
    endedAt: NOW - 40_000,
    outcome: "succeeded",
    reason: null,
    usd: 0.1,
    tokens: 1000,
    headSha: null,
    pushedSha: null,
    shown: ["act:100"],
    ...change,
  };
}

export function ledgerWith(change: Partial<Ledger> = {}): Ledger {
  return {
    runs: [],
    parks: [],
    effects: [],
    leftovers: { sessions: 0, clones: 0, branches: [] },
    pushed: [],
    tainted: false,
    usdItem: 0,
    usdToday: 0,
    tokensToday: 0,
    paused: { all: false, agents: [] },
    hold: null,
    continuedAfter: null,
    ...change,
  };
}
