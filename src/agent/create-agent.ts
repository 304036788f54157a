import { stat } from "node:fs/promises";
import type { Agent, AgentEnd, AgentReport, AgentRequest } from "../ports/agent.ts";
import type { Jail, Processes } from "../ports/jail.ts";
import { findBinary } from "./find-binary.ts";
import { runQuery } from "./run-query.ts";
import type { TranscriptMirror } from "./transcript-mirror.ts";
import { localTranscripts, type SharedTranscripts, sharedTranscripts } from "./transcripts.ts";

/** What the agent adapter is built from. */
export interface AgentOptions {
  readonly jail: Jail;
  readonly processes: Processes;
  readonly now: () => number;
  /** Path of the CLI; by default the one that comes with the SDK. */
  readonly binary?: string;
  /** How long a stopped CLI is given for each step, in milliseconds. */
  readonly grace?: { readonly interruptMs: number; readonly closeMs: number };
  /** Where hosts share transcripts, their one source of truth; left out: the files are. */
  readonly shared?: SharedTranscripts;
}

/** Measured with the CLI 2.1.330: interrupted after 1.1 s, gone 1.6 s after interrupt and close. */
const GRACE = { interruptMs: 3_000, closeMs: 5_000 };

/** Runs Claude through the Agent SDK inside the jail. */
export function createAgent(options: AgentOptions): Agent {
  const { shared } = options;
  const transcripts = shared === undefined ? localTranscripts() : sharedTranscripts(shared);
  const { prepare, ...reads } = transcripts;
  return {
    ...reads,
    async run(request, listener, signal) {
      const binary = options.binary ?? findBinary();
      const problem = await obstacle(request, binary);
      if (problem !== null || binary === null) return notStarted(launchFailure(problem ?? ""));
      if (signal.aborted) return notStarted({ kind: "interrupted" });
      let mirror: TranscriptMirror | null;
      try {
        mirror = await prepare(request);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        return notStarted({ kind: "wait", reason: "transcripts", message, retryAt: null });
      }
      const context = { ...options, binary, grace: options.grace ?? GRACE };
      return runQuery(context, { request, listener, signal, mirror });
    },
  };
}

/** What the SDK itself would blame on something else: a missing directory reads as a missing binary. */
async function obstacle(request: AgentRequest, binary: string | null): Promise<string | null> {
  if (binary === null || !(await isThere(binary))) {
    return `the claude program is not installed${binary === null ? "" : ` at ${binary}`}: run \`bun install\` for this platform`;
  }
  if (!(await isThere(request.clone))) return `the clone ${request.clone} does not exist`;
  if (!(await isThere(request.home))) {
    return `the session's directory ${request.home} does not exist`;
  }
  return null;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    // Missing or out of reach: for a process about to start it is the same.
    return false;
  }
}

const launchFailure = (message: string): AgentEnd => ({
  kind: "operator",
  reason: "launch",
  message,
});

const notStarted = (end: AgentEnd): AgentReport => ({
  end,
  began: false,
  turns: 0,
  usdTotal: 0,
  denials: 0,
});
