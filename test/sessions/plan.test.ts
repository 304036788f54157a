import { expect, test } from "bun:test";
import type { RunRecord } from "../../src/domain/ledger.ts";
import type { Skill } from "../../src/domain/skill.ts";
import type { Conversation } from "../../src/ports/store/conversations.ts";
import type { SessionRow } from "../../src/ports/store/sessions.ts";
import { planSession } from "../../src/sessions/plan.ts";
import { rotationOf } from "../../src/sessions/rotation.ts";
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

const CONVERSATION: Conversation = {
  key: SESSION.key,
  sessionId: SESSION.sessionId,
  why: "first",
  startedAt: NOW,
  lastSeenAt: NOW,
  contextTokens: 0,
  handOver: null,
  endedAt: null,
  endedWhy: null,
  usd: 0,
  tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
};

const LIMITS = { resumes: 20, contextTokens: 120_000, sessionDays: 7 };
const DAY_MS = 86_400_000;
const TAINTED: SessionRow = { ...SESSION, tainted: true };
const RESET: Conversation = { ...CONVERSATION, endedAt: NOW, endedWhy: "reset" };

interface Case {
  readonly when: string;
  readonly session?: SessionRow | null;
  readonly newest?: Conversation | null;
  readonly hasTranscript?: boolean;
  readonly skill?: Skill;
  readonly told?: RunRecord | null;
  readonly lastReason?: string;
  readonly now?: number;
  readonly plan: string;
}

test.each<Case>([
  { when: "there is no session", session: null, newest: null, plan: "start new (first)" },
  {
    when: "the session was dropped by an operator",
    session: null,
    newest: RESET,
    plan: "start new (reset)",
  },
  {
    when: "the session was dropped as unused",
    session: null,
    newest: { ...RESET, endedWhy: "retention" },
    plan: "start new (retention)",
  },
  { when: "the transcript is gone", hasTranscript: false, plan: "start session-1" },
  {
    when: "a rotated session was handed something but has not begun",
    hasTranscript: false,
    newest: { ...CONVERSATION, handOver: "## Done" },
    plan: "start session-1 with ## Done",
  },
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
    ...taintedFor("merge"),
    plan: "start new (tainted)",
  },
  {
    when: "a tainted session is asked to merge and is old, too",
    ...taintedFor("merge"),
    now: NOW + 8 * DAY_MS,
    plan: "start new (tainted)",
  },
  {
    when: "a tainted session is asked to implement",
    ...taintedFor("implement"),
    plan: "resume session-1",
  },
  {
    when: "it was resumed often enough",
    session: { ...SESSION, resumes: 20 },
    plan: "rotate session-1 (resumes), hand-over",
  },
  {
    when: "it is old",
    now: NOW + 7 * DAY_MS,
    plan: "rotate session-1 (age), hand-over",
  },
  {
    when: "it has grown large",
    newest: { ...CONVERSATION, contextTokens: 120_000 },
    plan: "rotate session-1 (context), hand-over",
  },
  {
    when: "another conversation had grown large",
    newest: { ...CONVERSATION, sessionId: "session-0", contextTokens: 120_000 },
    plan: "resume session-1",
  },
  {
    when: "the model took no more",
    lastReason: "context_full",
    told: runRecord({ outcome: "failed", reason: "context_full" }),
    plan: "rotate session-1 (context_full)",
  },
  {
    when: "it is due for rotation but there is no transcript",
    session: { ...SESSION, resumes: 20 },
    hasTranscript: false,
    plan: "start session-1",
  },
])(
  "when $when: $plan",
  ({ session, newest, hasTranscript, skill, told, lastReason, now, plan }) => {
    const made = planSession({
      session: session === undefined ? SESSION : session,
      newest: newest === undefined ? CONVERSATION : newest,
      hasTranscript: hasTranscript ?? true,
      skill: skill ?? "implement",
      told: told === undefined ? runRecord() : told,
      lastReason: lastReason ?? null,
      limits: LIMITS,
      newId: "new",
      now: now ?? NOW,
    });

    const words = [`${made.kind} ${made.sessionId}`];
    if ("why" in made && made.why !== null) words.push(` (${made.why})`);
    if (made.kind === "start" && made.handOver !== null) words.push(` with ${made.handOver}`);
    if (made.kind === "rotate" && made.canHandOver) words.push(", hand-over");
    expect(words.join("")).toBe(plan);
  },
);

test.each([
  [{ resumes: 19 }, null],
  [{ resumes: 20 }, "resumes"],
  [{ tokens: 119_999 }, null],
  [{ tokens: 120_000 }, "context"],
  [{ days: 6.99 }, null],
  [{ days: 7 }, "age"],
  [{ days: -1 }, null],
  [{ reason: "no_effect" }, null],
  [{ reason: "context_full" }, "context_full"],
  [{ resumes: 20, days: 7 }, "resumes"],
  [{ resumes: 20, tokens: 120_000 }, "context"],
  [{ resumes: 20, tokens: 120_000, days: 7, reason: "context_full" }, "context_full"],
] as const)("a session with %j rotates: %p", (has, why) => {
  const facts: { resumes?: number; tokens?: number; days?: number; reason?: string } = has;

  expect(
    rotationOf({
      session: { resumes: facts.resumes ?? 0, createdAt: NOW },
      conversation: { contextTokens: facts.tokens ?? 0 },
      lastReason: facts.reason ?? null,
      limits: LIMITS,
      now: NOW + (facts.days ?? 0) * DAY_MS,
    }),
  ).toBe(why);
});

function taintedFor(skill: Skill): Pick<Case, "session" | "skill"> {
  return { session: TAINTED, skill };
}
