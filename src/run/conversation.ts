import type { RunOrder } from "../domain/decision.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { Finding } from "../domain/verify.ts";
import type { AgentEnd, AgentReport, AgentRequest } from "../ports/agent.ts";
import { headLine } from "./prompt.ts";

/** What a run does to a conversation, as the loop below needs it. */
export interface ConversationSteps {
  /** Asks Claude once, in this session. */
  ask(ask: { sessionId: string; resume: boolean; prompt: string }): Promise<AgentReport>;
  /** Looks on the forge for what the run was for. */
  look(): Promise<Finding>;
  /** The old conversation does not exist or takes no more: a new session and its full prompt. */
  startFresh(why: "lost" | "context_full"): Promise<{ sessionId: string; prompt: string }>;
  isStopped(): boolean;
}

/** How the last query ended, and what the forge showed then. */
export interface ConversationEnd {
  readonly end: AgentEnd;
  readonly finding: Finding;
}

/**
 * One run's talk with Claude: the first prompt; a fresh start, once, if the conversation turns out
 * to be lost or full and the forge does not show the work; and one resumption with exactly the
 * finding if Claude believes to be done and the forge does not show it.
 */
export async function converse(
  first: {
    sessionId: string;
    resume: boolean;
    prompt: string;
    nudge: (finding: Finding) => string;
  },
  steps: ConversationSteps,
): Promise<ConversationEnd> {
  let ask = { sessionId: first.sessionId, resume: first.resume, prompt: first.prompt };
  let mayStartFresh = first.resume;
  let mayNudge = true;
  for (;;) {
    const report = await steps.ask(ask);
    // Also before a fresh start: an earlier run of the lost conversation may have done the work.
    const finding = await steps.look();
    const isGone = report.end.kind === "session_lost" || report.end.kind === "context_full";
    if (finding.kind === "open" && isGone && mayStartFresh && !steps.isStopped()) {
      mayStartFresh = false;
      const why = report.end.kind === "session_lost" ? "lost" : "context_full";
      ask = { ...(await steps.startFresh(why)), resume: false };
      continue;
    }
    const isOpen = finding.kind === "open" && report.end.kind === "completed";
    if (isOpen && mayNudge && !steps.isStopped()) {
      mayNudge = false;
      ask = { sessionId: ask.sessionId, resume: true, prompt: first.nudge(finding) };
      continue;
    }
    return { end: report.end, finding };
  }
}

/** The prompt of the one resumption: the finding and nothing else. */
export function nudgePrompt(
  finding: Finding,
  frame: { order: RunOrder; item: ItemRef; run: string; tools: AgentRequest["tools"] },
): string {
  const { order, item, run, tools } = frame;
  const what =
    finding.kind === "open" && finding.reason === "not_pushed"
      ? "The forge does not show your commits as the head of the pull request."
      : "Nothing of this run has taken effect on the forge.";
  const names = tools.map((tool) => `mcp__forge__${tool}`).join(", ");
  return [
    headLine({ order, item, run, resumed: true }),
    `You ended your turn, but the work is not done: ${what} Finish it and call one of ${names}. If you cannot, call mcp__forge__ask_human.`,
  ].join("\n\n");
}
