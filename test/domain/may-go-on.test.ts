import { expect, test } from "bun:test";
import type { RunOrder } from "../../src/domain/decision.ts";
import { mayGoOn } from "../../src/domain/may-go-on.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import {
  act,
  alice,
  boss,
  HEAD,
  HEAD2,
  policyWith,
  pullWith,
  reviewer,
  snapshotWith,
} from "../support/world.ts";

const ORDER: RunOrder = {
  agent: "boss",
  skill: "implement",
  fingerprint: "x",
  reason: "",
  asked: null,
  headSha: null,
  reviews: [],
};
const REVIEW: RunOrder = { ...ORDER, agent: "reviewer", skill: "review", headSha: HEAD };
const MERGE: RunOrder = { ...ORDER, agent: "code-lead", skill: "merge", headSha: HEAD };
const ADDRESS: RunOrder = { ...ORDER, skill: "address-review", headSha: HEAD };

interface Case {
  readonly when: string;
  readonly order: RunOrder;
  readonly snapshot?: Partial<Snapshot>;
  readonly done?: boolean;
  readonly answer: string;
}

const asked = (kind: "review_requested" | "review_request_removed", id: number, actor = alice) =>
  act({ id, kind, number: 2, subject: reviewer, actor });

test.each<Case>([
  { when: "nothing changed", order: ORDER, answer: "yes" },
  {
    when: "the issue was closed",
    order: ORDER,
    snapshot: { state: "closed" },
    answer: "the issue was closed",
  },
  {
    when: "boss was unassigned",
    order: ORDER,
    snapshot: { assignees: [] },
    answer: "boss was unassigned",
  },
  {
    when: "the issue was closed although it has asked a question",
    order: ORDER,
    snapshot: { state: "closed" },
    done: true,
    answer: "the issue was closed",
  },
  {
    when: "its own push moved the head",
    order: REVIEW,
    snapshot: { pull: pullWith({ headSha: HEAD2 }) },
    done: true,
    answer: "yes",
  },
  {
    when: "its own pull request has appeared",
    order: ORDER,
    snapshot: { pull: pullWith() },
    answer: "yes",
  },
  {
    when: "the head moved under a review",
    order: REVIEW,
    snapshot: { pull: pullWith({ headSha: HEAD2 }) },
    answer: "the pull request has a new head",
  },
  {
    when: "the head moved under address-review",
    order: ADDRESS,
    snapshot: { pull: pullWith({ headSha: HEAD2 }) },
    answer: "yes",
  },
  {
    when: "a person withdrew the review request",
    order: REVIEW,
    snapshot: {
      pull: pullWith(),
      acts: [asked("review_requested", 1), asked("review_request_removed", 2)],
    },
    answer: "the review request was withdrawn",
  },
  {
    when: "it was asked again after a withdrawal",
    order: REVIEW,
    snapshot: {
      pull: pullWith(),
      acts: [
        asked("review_requested", 1),
        asked("review_request_removed", 2),
        asked("review_requested", 3),
      ],
    },
    answer: "yes",
  },
  {
    when: "the pull request was closed",
    order: REVIEW,
    snapshot: { pull: pullWith({ state: "closed" }) },
    answer: "the pull request was closed",
  },
  {
    when: "the pull request is merged",
    order: MERGE,
    snapshot: { state: "closed", pull: pullWith({ state: "closed", merged: true }) },
    answer: "yes",
  },
  {
    when: "somebody pushed before the merge",
    order: MERGE,
    snapshot: { pull: pullWith({ headSha: HEAD2 }) },
    answer: "the pull request has a new head",
  },
  {
    when: "the agent is no longer configured",
    order: { ...ORDER, agent: "gone" },
    snapshot: { assignees: [boss] },
    answer: "gone is no longer configured",
  },
])("a living $order.skill when $when: $answer", ({ order, snapshot, done, answer }) => {
  const verdict = mayGoOn(order, {
    snapshot: snapshotWith(snapshot),
    policy: policyWith(),
    done: done ?? false,
  });

  expect(verdict.ok ? "yes" : verdict.reason).toBe(answer);
});
