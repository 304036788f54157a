import { expect, test } from "bun:test";
import type { RunRecord } from "../../src/domain/ledger.ts";
import type { Skill } from "../../src/domain/skill.ts";
import type { SessionRow } from "../../src/ports/store.ts";
import { planSession } from "../../src/sessions/plan.ts";
import { ledgerWith, NOW, runRecord } from "../support/world.ts";

const SESSION: SessionRow = {
  key: "boss:acme/widgets#1",
  agent: "boss",
  repo: "acme/widgets",
  number: 1,
  sessionId: "session-1",
  createdAt: NOW,
  updatedAt: NOW,
  resumes: 0,
  tainted: false,
  usdTotal: 0,
};

interface Case {
  readonly when: string;
  readonly session?: SessionRow | null;
  readonly hasTranscript?: boolean;
  readonly skill?: Skill;
  readonly runs?: readonly RunRecord[];
  readonly plan: string;
}

test.each<Case>([
  { when: "there is no session", session: null, plan: "start new" },
  { when: "the transcript is gone", hasTranscript: false, plan: "start session-1" },
  { when: "its last run succeeded", plan: "resume session-1" },
  { when: "its last run asked", runs: [runRecord({ outcome: "asked" })], plan: "resume session-1" },
  {
    when: "its last run failed",
    runs: [runRecord({ outcome: "failed" })],
    plan: "continue session-1",
  },
  {
    when: "its last run was cut off by a kill",
    runs: [runRecord({ outcome: "cancelled" })],
    plan: "continue session-1",
  },
  {
    when: "only another session's run is known",
    runs: [runRecord({ session: "session-0" })],
    plan: "start new",
  },
  {
    when: "a tainted session is asked to merge",
    session: { ...SESSION, tainted: true },
    skill: "merge",
    plan: "start new",
  },
  {
    when: "a tainted session is asked to implement",
    session: { ...SESSION, tainted: true },
    plan: "resume session-1",
  },
])("when $when: $plan", ({ session, hasTranscript, skill, runs, plan }) => {
  const made = planSession({
    session: session === undefined ? SESSION : session,
    hasTranscript: hasTranscript ?? true,
    skill: skill ?? "implement",
    ledger: ledgerWith({ runs: runs ?? [runRecord()] }),
    newId: "new",
  });

  expect(`${made.kind} ${made.sessionId}`).toBe(plan);
});
