import { describe, expect, test } from "bun:test";
import { decide } from "../../src/domain/decide.ts";
import type { Decision } from "../../src/domain/decision.ts";
import type { Ledger } from "../../src/domain/ledger.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import {
  act,
  alice,
  boss,
  check,
  comment,
  HEAD,
  HEAD2,
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

interface Case {
  readonly when: string;
  readonly snapshot?: Partial<Snapshot>;
  readonly ledger?: Partial<Ledger>;
  readonly policy?: Partial<Policy["repository"]>;
  readonly conflicts?: boolean;
  readonly says: string;
}

/** A decision in one line: kind, agent, skill or reason. */
function inWords(decision: Decision): string {
  switch (decision.kind) {
    case "run":
      return `run ${decision.order.agent} ${decision.order.fingerprint}`;
    case "park":
      return `park ${decision.park.name}`;
    case "refuse":
      return `refuse ${decision.agent}: ${decision.reason}`;
    case "cleanup":
      return `cleanup: ${decision.reason}`;
    case "nothing":
      return `nothing: ${decision.reason}`;
  }
}

function check1(one: Case): void {
  const decision = decide({
    snapshot: snapshotWith(one.snapshot),
    ledger: ledgerWith(one.ledger),
    policy: policyWith(one.policy),
    conflicts: one.conflicts ?? false,
    now: NOW,
  });
  expect(inWords(decision)).toBe(one.says);
}

const REJECTED = review({ state: "REQUEST_CHANGES", comments: [lineComment()] });
const LEFT = { sessions: 1, clones: 1, branches: ["boss/1"] };
const DONE = [runRecord()];
const FAILED_THRICE = ["r1", "r2", "r3"].map((id) =>
  runRecord({ id, outcome: "failed", reason: "no_effect", endedAt: NOW - 1000 }),
);

describe("implement", () => {
  test.each<Case>([
    { when: "a person assigns", says: "run boss boss/implement/act:100" },
    {
      when: "the assignee was set at creation, without a timeline row",
      snapshot: { acts: [] },
      says: "run boss boss/implement/created",
    },
    {
      when: "a stranger's issue was assigned by a person",
      snapshot: { author: mallory },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "a stranger created it with the agent as assignee",
      snapshot: { author: mallory, acts: [] },
      says: "nothing: mallory may not start work here",
    },
    {
      when: "one of our agents assigned",
      snapshot: { acts: [act({ actor: reviewer, subject: boss })] },
      says: "nothing: reviewer may not start work here",
    },
    {
      when: "a stranger assigned after a person did",
      snapshot: { acts: [act({ subject: boss }), act({ id: 101, actor: mallory, subject: boss })] },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "only named people may start work and another writer assigned",
      policy: { mayTrigger: ["bob"] },
      says: "nothing: alice may not start work here",
    },
    {
      when: "nobody is assigned",
      snapshot: { assignees: [] },
      says: "nothing: no agent that implements has this issue",
    },
    {
      when: "the trigger label is set",
      snapshot: { assignees: [], labels: ["ai"], acts: [act({ kind: "labeled", label: "ai" })] },
      policy: { trigger: { assignee: false, label: "ai" } },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "it was done",
      ledger: { runs: DONE },
      says: "nothing: boss has done that: implement succeeded",
    },
    {
      when: "it asked and nobody answered",
      ledger: { runs: [runRecord({ outcome: "asked" })] },
      says: "nothing: boss has done that: implement asked",
    },
    {
      when: "it asked and a person answered",
      ledger: { runs: [runRecord({ outcome: "asked" })] },
      snapshot: { comments: [comment()] },
      says: "run boss boss/implement/act:100+500",
    },
    {
      when: "it asked and a stranger answered",
      ledger: { runs: [runRecord({ outcome: "asked" })] },
      snapshot: { comments: [comment({ author: mallory })] },
      says: "nothing: boss has done that: implement asked",
    },
    {
      when: "the run that read the answer failed",
      ledger: {
        runs: [
          runRecord({ outcome: "asked" }),
          runRecord({
            id: "run-2",
            outcome: "failed",
            fingerprint: "boss/implement/act:100+500",
            shown: ["comment:500"],
            endedAt: NOW - 60_000,
          }),
        ],
      },
      snapshot: { comments: [comment()] },
      says: "run boss boss/implement/act:100+500",
    },
    {
      when: "it just failed",
      ledger: { runs: [runRecord({ outcome: "failed", endedAt: NOW - 1000 })] },
      says: "nothing: attempt 2 of 3 waits",
    },
    {
      when: "it failed too often",
      ledger: { runs: [1, 2, 3].map((n) => runRecord({ id: `r${n}`, outcome: "failed" })) },
      says: "park failures",
    },
    {
      when: "it failed too often and a person commented since",
      ledger: { runs: [1, 2, 3].map((n) => runRecord({ id: `r${n}`, outcome: "failed" })) },
      snapshot: { comments: [comment()] },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "a cancelled run left it undone",
      ledger: { runs: [runRecord({ outcome: "cancelled" })] },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "its pull request is open",
      snapshot: { pull: pullWith() },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: merge gate: 1 approval(s) of exactly this head needed",
    },
    {
      when: "a person closed its pull request",
      snapshot: { pull: pullWith({ state: "closed", endedAt: NOW - 5000 }) },
      ledger: { runs: DONE },
      says: "nothing: pull request #2 has ended and nobody asked again since",
    },
    {
      when: "a person closed its pull request and assigned again",
      snapshot: {
        pull: pullWith({ state: "closed", endedAt: NOW - 5000 }),
        acts: [act({ subject: boss }), act({ id: 110, subject: boss, at: NOW - 1000 })],
      },
      ledger: { runs: DONE },
      says: "run boss boss/implement/act:110",
    },
    {
      when: "a person asks to continue",
      snapshot: { comments: [comment({ body: "@boss continue" })] },
      ledger: { runs: DONE },
      says: "run boss boss/implement/comment:500",
    },
    {
      when: "a person mentions it and asks somebody else to continue",
      snapshot: { comments: [comment({ body: "@boss is done; @reviewer continue" })] },
      ledger: { runs: DONE },
      says: "nothing: not built: respond",
    },
    {
      when: "a stranger asks to continue",
      snapshot: { comments: [comment({ author: mallory, body: "@boss continue" })] },
      ledger: { runs: DONE },
      says: "nothing: boss has done that: implement succeeded",
    },
    {
      when: "a person took it back by closing, and a stranger reopened it",
      snapshot: {
        acts: [
          act({ subject: boss }),
          act({ id: 101, kind: "closed" }),
          act({ id: 102, kind: "reopened", actor: mallory }),
        ],
      },
      says: "nothing: mallory may not start work here",
    },
    {
      when: "a person closed and reopened it",
      snapshot: {
        acts: [
          act({ subject: boss }),
          act({ id: 101, kind: "closed" }),
          act({ id: 102, kind: "reopened" }),
        ],
      },
      says: "run boss boss/implement/act:102",
    },
    {
      when: "a permitted person unassigned and somebody else assigned",
      snapshot: {
        acts: [
          act({ subject: boss }),
          act({ id: 101, kind: "unassigned", subject: boss }),
          act({ id: 102, actor: mallory, subject: boss }),
        ],
      },
      says: "nothing: mallory may not start work here",
    },
    {
      when: "everything is paused",
      ledger: { paused: { all: true, agents: [] } },
      says: "nothing: paused",
    },
    {
      when: "the agent is paused",
      ledger: { paused: { all: false, agents: ["boss"] } },
      says: "nothing: boss is paused",
    },
    {
      when: "it was parked for want of money and the limit was raised",
      ledger: {
        usdItem: 19,
        parks: [{ row: "all", name: "usd_per_item", reason: "", until: null, since: NOW - 1000 }],
      },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "an operator parked it, whatever people say since",
      snapshot: { comments: [comment({ id: 501, body: "@boss continue" })] },
      ledger: {
        hold: {
          kind: "parked",
          agent: null,
          since: NOW - 10,
          known: { comment: 0, review: 0, act: 100 },
        },
      },
      says: "park parked",
    },
    {
      when: "an operator cancelled the run and nobody has said anything since",
      ledger: {
        hold: {
          kind: "cancelled",
          agent: "boss",
          since: NOW - 10,
          known: { comment: 0, review: 0, act: 100 },
        },
      },
      says: "park cancelled",
    },
    {
      when: "an operator cancelled the run and the forge was not read since",
      snapshot: { comments: [comment()] },
      ledger: { hold: { kind: "cancelled", agent: "boss", since: NOW - 10, known: null } },
      says: "park cancelled",
    },
    {
      when: "only a stranger has commented since the run was cancelled",
      snapshot: { comments: [comment({ id: 501, author: mallory })] },
      ledger: {
        hold: {
          kind: "cancelled",
          agent: "boss",
          since: NOW - 10,
          known: { comment: 0, review: 0, act: 100 },
        },
      },
      says: "park cancelled",
    },
    {
      when: "a permitted person has commented since the run was cancelled",
      snapshot: { comments: [comment({ id: 501 })] },
      ledger: {
        hold: {
          kind: "cancelled",
          agent: "boss",
          since: NOW - 10,
          known: { comment: 0, review: 0, act: 100 },
        },
      },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "it failed three times",
      ledger: { runs: FAILED_THRICE },
      says: "park failures",
    },
    {
      when: "it failed three times and an operator lets it go on",
      ledger: { runs: FAILED_THRICE, continuedAfter: "r3" },
      says: "run boss boss/implement/act:100",
    },
    {
      when: "it failed again after an operator let it go on",
      ledger: { runs: FAILED_THRICE, continuedAfter: "r2" },
      says: "nothing: attempt 2 of 3 waits",
    },
    { when: "the item's money is spent", ledger: { usdItem: 20 }, says: "park usd_per_item" },
    {
      when: "the day's tokens are spent and nobody limits them",
      ledger: { tokensToday: 1e9 },
      says: "run boss boss/implement/act:100",
    },
    { when: "the day's money is spent", ledger: { usdToday: 100 }, says: "park usd_per_day" },
  ])("$when → $says", check1);
});

describe("refusal", () => {
  test.each<Case>([
    {
      when: "an agent that cannot implement is assigned",
      snapshot: { assignees: [reviewer], acts: [act({ subject: reviewer })] },
      says: "refuse reviewer: reviewer does not implement issues; assign boss for that.",
    },
    {
      when: "it was refused already",
      snapshot: { assignees: [reviewer], acts: [act({ subject: reviewer })] },
      ledger: {
        effects: [
          {
            id: 1,
            key: "acme/widgets#1|reviewer/refuse/act:100",
            run: "",
            tool: "refuse",
            state: "done",
            ref: 1,
            text: "",
            at: NOW,
          },
        ],
      },
      says: "nothing: no agent that implements has this issue",
    },
    {
      when: "a stranger assigned it",
      snapshot: { author: mallory, assignees: [reviewer], acts: [] },
      says: "nothing: no agent that implements has this issue",
    },
  ])("$when → $says", check1);
});

describe("address-review", () => {
  test.each<Case>([
    {
      when: "the reviewer agent requested changes",
      snapshot: { pull: pullWith({ reviews: [REJECTED] }) },
      ledger: { runs: DONE },
      says: "run boss boss/address-review/900(950)",
    },
    {
      when: "a stranger requested changes",
      snapshot: { pull: pullWith({ reviews: [{ ...REJECTED, author: mallory }] }) },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: merge gate: 1 approval(s) of exactly this head needed",
    },
    {
      when: "the demand was dismissed",
      snapshot: { pull: pullWith({ reviews: [{ ...REJECTED, dismissed: true }] }) },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: merge gate: 1 approval(s) of exactly this head needed",
    },
    {
      when: "a newer approval took the demand back",
      snapshot: {
        pull: pullWith({ reviews: [{ ...REJECTED, official: false }, review({ id: 901 })] }),
      },
      ledger: { runs: DONE },
      says: `run code-lead code-lead/merge/${HEAD}`,
    },
    {
      when: "a fulfilled run has read it and the head is reviewed again",
      snapshot: { pull: pullWith({ headSha: HEAD2, reviews: [REJECTED] }) },
      ledger: { runs: [...DONE, runRecord({ skill: "address-review", shown: ["review:900"] })] },
      says: `run reviewer reviewer/review/${HEAD2}/policy:900`,
    },
    {
      when: "boss lost the issue",
      snapshot: { assignees: [], pull: pullWith({ reviews: [REJECTED] }) },
      ledger: { runs: DONE },
      says: "nothing: boss no longer has the issue",
    },
    {
      when: "the rounds are used up",
      snapshot: { pull: pullWith({ reviews: [REJECTED] }) },
      ledger: {
        runs: [1, 2, 3].map((n) =>
          runRecord({ id: `r${n}`, skill: "address-review", fingerprint: `x${n}` }),
        ),
      },
      says: "park review_rounds",
    },
  ])("$when → $says", check1);
});

describe("review", () => {
  const requested = [
    act({ subject: boss }),
    act({ id: 200, kind: "review_requested", number: 2, subject: reviewer, at: NOW - 5000 }),
  ];
  test.each<Case>([
    {
      when: "a pull request of ours has a head without a verdict",
      snapshot: { pull: pullWith() },
      ledger: { runs: DONE },
      says: `run reviewer reviewer/review/${HEAD}/policy`,
    },
    {
      when: "agents only propose",
      snapshot: { pull: pullWith() },
      ledger: { runs: DONE },
      policy: { autonomy: "propose" },
      says: "nothing: merge gate: this repository only lets agents propose: a person merges",
    },
    {
      when: "agents only propose but a person asked",
      snapshot: { pull: pullWith(), acts: requested },
      ledger: { runs: DONE },
      policy: { autonomy: "propose" },
      says: `run reviewer reviewer/review/${HEAD}/act:200`,
    },
    {
      when: "a stranger asked",
      snapshot: {
        pull: pullWith(),
        acts: requested.map((row) => (row.id === 200 ? { ...row, actor: mallory } : row)),
      },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: merge gate: 1 approval(s) of exactly this head needed",
    },
    {
      when: "it asked itself",
      snapshot: {
        pull: pullWith(),
        acts: requested.map((row) => (row.id === 200 ? { ...row, actor: reviewer } : row)),
      },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: merge gate: 1 approval(s) of exactly this head needed",
    },
    {
      when: "a person withdrew the request",
      snapshot: {
        pull: pullWith(),
        acts: [
          ...requested,
          act({ id: 201, kind: "review_request_removed", number: 2, subject: reviewer }),
        ],
      },
      ledger: { runs: DONE },
      says: "nothing: a person withdrew the review request of reviewer",
    },
    {
      when: "the reviewer asked and a person answered",
      snapshot: { pull: pullWith(), comments: [comment({ number: 2 })] },
      ledger: {
        runs: [
          ...DONE,
          runRecord({
            agent: "reviewer",
            skill: "review",
            outcome: "asked",
            fingerprint: `reviewer/review/${HEAD}/policy`,
          }),
        ],
      },
      says: `run reviewer reviewer/review/${HEAD}/policy+500`,
    },
    {
      when: "a head that was judged before comes back",
      snapshot: { pull: pullWith({ reviews: [review({ commitId: HEAD2 })] }) },
      ledger: {
        runs: [
          ...DONE,
          runRecord({
            agent: "reviewer",
            skill: "review",
            fingerprint: `reviewer/review/${HEAD}/policy`,
          }),
        ],
      },
      says: `run reviewer reviewer/review/${HEAD}/policy:900`,
    },
    {
      when: "it was asked before its last review",
      snapshot: {
        pull: pullWith({ reviews: [review({ state: "COMMENT", submittedAt: NOW - 1000 })] }),
        acts: requested,
      },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: merge gate: 1 approval(s) of exactly this head needed",
    },
    {
      when: "it was asked again in the same second as its review",
      snapshot: {
        pull: pullWith({
          reviews: [
            review({ state: "COMMENT", submittedAt: NOW - 5000 }),
            review({ id: 901, state: "REQUEST_REVIEW", submittedAt: NOW - 5000 }),
          ],
        }),
        acts: requested,
      },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: `run reviewer reviewer/review/${HEAD}/act:200`,
    },
    {
      when: "the pull request is a draft",
      snapshot: { pull: pullWith({ draft: true }) },
      ledger: { runs: DONE },
      says: "nothing: the pull request is a draft",
    },
    {
      when: "it comes from a fork and a person asked",
      snapshot: {
        kind: "pull",
        pull: pullWith({ author: mallory, sameRepo: false }),
        acts: requested,
        assignees: [],
      },
      says: "refuse reviewer: This pull request comes from a fork: agents do not open what strangers wrote. A person can push it to a branch of this repository after looking at it.",
    },
    {
      when: "checks failed",
      snapshot: { pull: pullWith({ checks: [check({ state: "failure" })] }) },
      ledger: { runs: DONE },
      says: "nothing: not built: fix-checks",
    },
    {
      when: "base and head conflict",
      snapshot: { pull: pullWith({ reviews: [review({ author: alice })] }) },
      ledger: { runs: DONE },
      conflicts: true,
      policy: { review: "requested", autonomy: "propose" },
      says: "nothing: not built: update-branch",
    },
    {
      when: "a person writes to boss on its pull request",
      snapshot: {
        pull: pullWith(),
        comments: [comment({ number: 2, body: "@boss why NFD?" })],
      },
      ledger: { runs: DONE },
      policy: { review: "requested" },
      says: "nothing: not built: respond",
    },
  ])("$when → $says", check1);
});

describe("merge", () => {
  const approved = pullWith({ reviews: [review()] });
  test.each<Case>([
    {
      when: "the reviewer approved this head",
      snapshot: { pull: approved },
      ledger: { runs: DONE },
      says: `run code-lead code-lead/merge/${HEAD}`,
    },
    {
      when: "a person has to approve, too",
      snapshot: { pull: approved },
      ledger: { runs: DONE },
      policy: { approvals: { any: 1, people: 1 } },
      says: "park person",
    },
    {
      when: "agents may only review",
      snapshot: { pull: approved },
      ledger: { runs: DONE },
      policy: { autonomy: "review" },
      says: "park person",
    },
    {
      when: "code-lead declined this head",
      snapshot: { pull: approved },
      ledger: {
        runs: [
          ...DONE,
          runRecord({
            agent: "code-lead",
            skill: "merge",
            outcome: "declined",
            fingerprint: `code-lead/merge/${HEAD}`,
          }),
        ],
      },
      says: "nothing: code-lead has done that: merge declined",
    },
    {
      when: "code-lead declined and a person asks again",
      snapshot: { pull: approved, comments: [comment({ number: 2, body: "Please merge." })] },
      ledger: {
        runs: [
          ...DONE,
          runRecord({
            agent: "code-lead",
            skill: "merge",
            outcome: "declined",
            fingerprint: `code-lead/merge/${HEAD}`,
          }),
        ],
      },
      says: `run code-lead code-lead/merge/${HEAD}+500`,
    },
    {
      when: "a person asks not to merge a person's pull request",
      snapshot: {
        kind: "pull",
        assignees: [],
        pull: pullWith({ author: alice, reviews: [review()] }),
        comments: [comment({ body: "@code-lead please do not merge this" })],
      },
      says: "nothing: not built: respond",
    },
    {
      when: "one agent is mentioned and another asked to merge",
      snapshot: {
        kind: "pull",
        assignees: [],
        pull: pullWith({ author: alice, reviews: [review()] }),
        comments: [comment({ body: "@code-lead is away, @reviewer merge" })],
      },
      says: "nothing: not built: respond",
    },
    {
      when: "a person asks to merge a person's pull request",
      snapshot: {
        kind: "pull",
        assignees: [],
        pull: pullWith({ author: alice, reviews: [review()] }),
        comments: [comment({ body: "@code-lead merge" })],
      },
      says: `run code-lead code-lead/merge/${HEAD}`,
    },
    {
      when: "a person's own pull request is approved and nobody asked for the merge",
      snapshot: {
        kind: "pull",
        assignees: [],
        pull: pullWith({ author: alice, reviews: [review()] }),
      },
      says: "nothing: nobody asked for anything",
    },
    {
      when: "checks are pending",
      snapshot: { pull: { ...approved, checks: [check({ state: "pending" })] } },
      ledger: { runs: DONE },
      says: "nothing: merge gate: waiting for ci/test",
    },
  ])("$when → $says", check1);
});

describe("cleanup", () => {
  test.each<Case>([
    {
      when: "the issue is closed",
      snapshot: { state: "closed" },
      ledger: { leftovers: LEFT },
      says: "cleanup: the issue is closed",
    },
    {
      when: "it is closed and clean",
      snapshot: { state: "closed" },
      says: "nothing: the issue is closed",
    },
    {
      when: "its pull request is merged and the issue still open",
      snapshot: { pull: pullWith({ state: "closed", merged: true, endedAt: NOW - 1000 }) },
      ledger: { leftovers: LEFT },
      says: "cleanup: pull request #2 has ended",
    },
    {
      when: "its pull request was closed and somebody asked again",
      snapshot: {
        pull: pullWith({ state: "closed", endedAt: NOW - 5000 }),
        acts: [act({ id: 110, subject: boss, at: NOW - 1000 })],
      },
      ledger: { leftovers: LEFT },
      says: "run boss boss/implement/act:110",
    },
    {
      when: "work goes on",
      snapshot: { pull: pullWith() },
      ledger: { leftovers: LEFT, runs: DONE },
      says: `run reviewer reviewer/review/${HEAD}/policy`,
    },
  ])("$when → $says", check1);
});
