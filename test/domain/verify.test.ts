import { expect, test } from "bun:test";
import type { RunOrder } from "../../src/domain/decision.ts";
import type { EffectRecord } from "../../src/domain/ledger.ts";
import type { Pull } from "../../src/domain/snapshot.ts";
import type { ToolName } from "../../src/domain/tools.ts";
import { verify } from "../../src/domain/verify.ts";
import {
  alice,
  HEAD,
  HEAD2,
  NOW,
  policyWith,
  pullWith,
  review,
  snapshotWith,
} from "../support/world.ts";

const effect = (tool: ToolName, change: Partial<EffectRecord> = {}): EffectRecord => ({
  id: 1,
  key: "k",
  run: "run-1",
  tool,
  state: "done",
  ref: 900,
  text: "",
  at: NOW,
  ...change,
});

interface Case {
  readonly when: string;
  readonly skill: RunOrder["skill"];
  readonly pull?: Partial<Pull> | null;
  readonly effects?: readonly EffectRecord[];
  readonly pushed?: string | null;
  readonly says: string;
}

const AGENTS: Partial<Record<RunOrder["skill"], string>> = {
  review: "reviewer",
  merge: "code-lead",
};

test.each<Case>([
  { when: "its pull request shows its push", skill: "implement", pushed: HEAD, says: "succeeded" },
  { when: "nothing happened", skill: "implement", pull: null, says: "no_effect" },
  {
    when: "it pushed but opened nothing",
    skill: "implement",
    pull: null,
    pushed: HEAD,
    says: "not_pushed",
  },
  { when: "the head is not what it pushed", skill: "implement", pushed: HEAD2, says: "not_pushed" },
  {
    when: "somebody else opened the pull request",
    skill: "implement",
    pull: { author: alice },
    pushed: HEAD,
    says: "not_pushed",
  },
  {
    when: "it asked",
    skill: "implement",
    pull: null,
    effects: [effect("ask_human")],
    says: "asked",
  },
  {
    when: "the question was only meant",
    skill: "implement",
    pull: null,
    effects: [effect("ask_human", { state: "intent" })],
    says: "no_effect",
  },
  {
    when: "it handed in",
    skill: "address-review",
    effects: [effect("hand_in")],
    pushed: HEAD,
    says: "succeeded",
  },
  { when: "it only pushed", skill: "address-review", pushed: HEAD, says: "no_effect" },
  {
    when: "it handed in and somebody pushed since",
    skill: "address-review",
    effects: [effect("hand_in")],
    pushed: HEAD2,
    says: "succeeded",
  },
  {
    when: "it opened the pull request and somebody pushed since",
    skill: "implement",
    effects: [effect("open_pull_request")],
    pushed: HEAD2,
    says: "succeeded",
  },
  {
    when: "its review of this head is there",
    skill: "review",
    pull: { reviews: [review()] },
    effects: [effect("submit_review")],
    says: "succeeded",
  },
  {
    when: "its review is of another head",
    skill: "review",
    pull: { reviews: [review({ commitId: HEAD2 })] },
    effects: [effect("submit_review")],
    says: "no_effect",
  },
  {
    when: "there is only an older review of it",
    skill: "review",
    pull: { reviews: [review({ id: 800 })] },
    effects: [effect("submit_review")],
    says: "no_effect",
  },
  {
    when: "it is merged",
    skill: "merge",
    pull: { merged: true, state: "closed" },
    says: "succeeded",
  },
  { when: "it declined", skill: "merge", effects: [effect("decline_merge")], says: "declined" },
  {
    when: "it said it merged",
    skill: "merge",
    effects: [effect("request_merge")],
    says: "no_effect",
  },
])("$skill when $when: $says", ({ skill, pull, effects, pushed, says }) => {
  const finding = verify(
    {
      agent: AGENTS[skill] ?? "boss",
      skill,
      fingerprint: "x",
      reason: "",
      asked: null,
      headSha: HEAD,
      reviews: [],
    },
    {
      snapshot: snapshotWith({ pull: pull === null ? null : pullWith(pull) }),
      policy: policyWith(),
      effects: effects ?? [],
      pushedSha: pushed ?? null,
    },
  );

  expect(finding.kind === "fulfilled" ? finding.outcome : finding.reason).toBe(says);
});
