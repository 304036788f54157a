import { expect, test } from "bun:test";
import type { Finding } from "../../src/domain/verify.ts";
import type { AgentEnd, AgentReport } from "../../src/ports/agent.ts";
import { converse } from "../../src/run/conversation.ts";

const report = (end: AgentEnd): AgentReport => ({
  end,
  began: end.kind !== "session_lost",
  turns: 1,
  usdTotal: 1,
  denials: 0,
});
const DONE: AgentEnd = { kind: "completed", text: "" };
const LOST: AgentEnd = { kind: "session_lost" };
const FULL: AgentEnd = { kind: "context_full", message: "prompt is too long" };
const DIED: AgentEnd = { kind: "died", message: "killed" };
const OPEN: Finding = { kind: "open", reason: "no_effect" };
const GOOD: Finding = { kind: "fulfilled", outcome: "succeeded" };

interface Case {
  readonly when: string;
  readonly resume: boolean;
  readonly ends: readonly AgentEnd[];
  readonly findings: readonly Finding[];
  readonly asked: readonly string[];
  readonly stopped?: boolean;
}

test.each<Case>([
  {
    when: "it is done at once",
    resume: false,
    ends: [DONE],
    findings: [GOOD],
    asked: ["start s1 full"],
  },
  {
    when: "nothing shows on the forge: it is asked once more, with the finding",
    resume: false,
    ends: [DONE, DONE],
    findings: [OPEN, OPEN],
    asked: ["start s1 full", "resume s1 nudge no_effect"],
  },
  {
    when: "the conversation is lost: a new one begins, once",
    resume: true,
    ends: [LOST, DONE],
    findings: [OPEN, GOOD],
    asked: ["resume s1 full", "start s2 fresh"],
  },
  {
    when: "the conversation is lost but the forge shows its work: nothing is done again",
    resume: true,
    ends: [LOST],
    findings: [GOOD],
    asked: ["resume s1 full"],
  },
  {
    when: "the conversation is lost and the forge does not answer: nothing is begun unseen",
    resume: true,
    ends: [LOST],
    findings: [{ kind: "unknown", reason: "away" }],
    asked: ["resume s1 full"],
  },
  {
    when: "it is lost twice",
    resume: true,
    ends: [LOST, LOST],
    findings: [OPEN, OPEN],
    asked: ["resume s1 full", "start s2 fresh"],
  },
  {
    when: "the conversation is full: a new one begins, once",
    resume: true,
    ends: [FULL, FULL],
    findings: [OPEN, OPEN],
    asked: ["resume s1 full", "start s2 fresh"],
  },
  {
    when: "the conversation is full but the forge shows its work",
    resume: true,
    ends: [FULL],
    findings: [GOOD],
    asked: ["resume s1 full"],
  },
  {
    when: "a new conversation is full at once: another one would be, too",
    resume: false,
    ends: [FULL],
    findings: [OPEN],
    asked: ["start s1 full"],
  },
  {
    when: "a start reports a lost conversation",
    resume: false,
    ends: [LOST],
    findings: [OPEN],
    asked: ["start s1 full"],
  },
  {
    when: "the CLI died: nobody is asked again",
    resume: true,
    ends: [DIED],
    findings: [OPEN],
    asked: ["resume s1 full"],
  },
  {
    when: "the run was stopped",
    resume: true,
    ends: [DONE],
    findings: [OPEN],
    asked: ["resume s1 full"],
    stopped: true,
  },
  {
    when: "the forge does not answer: that is no reason to ask again",
    resume: false,
    ends: [DONE],
    findings: [{ kind: "unknown", reason: "away" }],
    asked: ["start s1 full"],
  },
])("$when", async ({ resume, ends, findings, asked, stopped }) => {
  const heard: string[] = [];
  const left = { ends: [...ends], findings: [...findings] };

  await converse(
    {
      sessionId: "s1",
      resume,
      prompt: "full",
      nudge: (finding) => `nudge ${finding.kind === "open" ? finding.reason : finding.kind}`,
    },
    {
      ask: (ask) => {
        heard.push(`${ask.resume ? "resume" : "start"} ${ask.sessionId} ${ask.prompt}`);
        return Promise.resolve(report(left.ends.shift() ?? DIED));
      },
      look: () => Promise.resolve(left.findings.shift() ?? OPEN),
      startFresh: () => Promise.resolve({ sessionId: "s2", prompt: "fresh" }),
      isStopped: () => stopped ?? false,
    },
  );

  expect(heard).toEqual([...asked]);
});
