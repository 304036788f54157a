import { expect, test } from "bun:test";
import type { RunRecord } from "../../src/domain/ledger.ts";
import type { Skill } from "../../src/domain/skill.ts";
import type { SessionRow } from "../../src/ports/store.ts";
import { planSession } from "../../src/sessions/plan.ts";
import { NOW, runRecord } from "../support/world.ts";

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
  readonly told?: RunRecord | null;
  readonly plan: string;
}

test.each<Case>([
  { when: "there is no session", session: null, plan: "start new" },
  { when: "the transcript is gone", hasTranscript: false, plan: "start session-1" },
  { when: "its last run succeeded", plan: "resume session-1" },
  { when: "its last run asked", told: runRecord({ outcome: "asked" }), plan: "resume session-1" },
  {
    when: "its last run failed",
    told: runRecord({ outcome: "failed" }),
    plan: "continue session-1",
  },
  {
    when: "its last run was cut off by a kill",
    told: runRecord({ outcome: "cancelled" }),
    plan: "continue session-1",
  },
  {
    when: "no known prompt is in the transcript (somebody brought it)",
    told: null,
    plan: "continue session-1",
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
])("when $when: $plan", ({ session, hasTranscript, skill, told, plan }) => {
  const made = planSession({
    session: session === undefined ? SESSION : session,
    hasTranscript: hasTranscript ?? true,
    skill: skill ?? "implement",
    told: told === undefined ? runRecord() : told,
    newId: "new",
  });

  expect(`${made.kind} ${made.sessionId}`).toBe(plan);
});
