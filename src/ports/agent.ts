import type { Profile } from "../domain/skill.ts";
import type { ToolAnswer, ToolCall, ToolName } from "../domain/tools.ts";
import type { GatewayDoor } from "./gateway.ts";
import type { ProcessIdentity } from "./jail.ts";
import type { TranscriptHolder } from "./transcripts.ts";

/** One query to Claude: everything the SDK is told comes from here. */
export interface AgentRequest {
  readonly runId: string;
  readonly model: string;
  /** Host paths of the clone and of the session's own directory. */
  readonly clone: string;
  readonly home: string;
  /** `resume` only when a transcript of this id exists (see `hasTranscript`). */
  readonly session: { readonly id: string; readonly resume: boolean };
  /** The rules that must always hold; fixed for the life of a session (the CLI replays the recorded one). */
  readonly system: string;
  readonly prompt: string;
  readonly profile: Profile;
  readonly tools: readonly ToolName[];
  readonly door: GatewayDoor;
  readonly egressSocket: string | null;
  readonly read: readonly string[];
  readonly limits: { readonly usd: number; readonly turns: number };
  /** The session and the claim under which its transcript is kept; needed where hosts share transcripts. */
  readonly keeping?: {
    readonly session: string;
    readonly holder: TranscriptHolder;
    /** Whether the claim still holds for a while, as far as is known here without asking anybody; left out: it does. */
    readonly holdsLease?: () => boolean;
  };
}

/** Where the transcripts of a session are: under its key where hosts share them, else in its directory. */
export interface SessionPlace {
  readonly key: string;
  /** Host path of the session's own directory. */
  readonly home: string;
}

/** What happens while a run goes on. */
export interface AgentListener {
  /** The process is running; the CLI gets its first input only after this resolved. */
  spawned(process: ProcessIdentity): Promise<void>;
  /** Anything heard from the CLI: the sign of life the stall watch needs, and the live transcript. */
  heard(event: AgentEvent): void;
  /** Carries out a validated tool call. Never throws: a failure is an answer. */
  call(call: ToolCall, toolUseId: string): Promise<ToolAnswer>;
}

/** One thing heard from the CLI, without the SDK's words. */
export type AgentEvent =
  | { readonly kind: "init"; readonly session: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "tool"; readonly name: string; readonly input: string }
  | { readonly kind: "tool_result"; readonly text: string; readonly isError: boolean }
  | { readonly kind: "retry"; readonly attempt: number; readonly status: number | null }
  | { readonly kind: "other"; readonly type: string };

/** How the query ended, classified where it arose. */
export type AgentEnd =
  | { readonly kind: "completed"; readonly text: string }
  /** The CLI has no such conversation and did nothing: the only end that may start fresh. */
  | { readonly kind: "session_lost" }
  | {
      readonly kind: "wait";
      readonly reason:
        | "rate_limit"
        | "usage_limit"
        | "overloaded"
        | "network"
        | "server"
        /** The store of shared transcripts; Claude was not asked. */
        | "transcripts";
      readonly message: string;
      /** Epoch milliseconds, when the other side said when. */
      readonly retryAt: number | null;
    }
  | {
      readonly kind: "operator";
      readonly reason: "auth" | "credit" | "model" | "config" | "launch";
      readonly message: string;
    }
  | { readonly kind: "context_full"; readonly message: string }
  | {
      readonly kind: "limit";
      readonly reason: "turns" | "budget" | "output";
      readonly message: string;
    }
  | { readonly kind: "refusal"; readonly message: string }
  /** Stopped by us through the signal. */
  | { readonly kind: "interrupted" }
  /** The process died: its last tool call may or may not have happened. */
  | { readonly kind: "died"; readonly message: string };

/** What a query came to: a report, never evidence (the forge is looked at afterwards). */
export interface AgentReport {
  readonly end: AgentEnd;
  /** `system/init` was seen: the prompt is, or may be, in the transcript. */
  readonly began: boolean;
  readonly turns: number;
  /** The session's running total as the CLI reports it, in US dollars; it carries over on resume. */
  readonly usdTotal: number;
  readonly denials: number;
}

/**
 * Runs Claude through the Agent SDK inside the jail. What asks for transcripts throws
 * TranscriptFailure `unavailable` where hosts share them and their store does not answer.
 */
export interface Agent {
  /**
   * Resolves when the CLI's process is gone (never before), whatever happened; never throws for a
   * failure of the run. Aborting `signal` interrupts, then closes, then kills.
   */
  run(request: AgentRequest, listener: AgentListener, signal: AbortSignal): Promise<AgentReport>;
  /** Whether a non-empty transcript of this conversation is there. */
  hasTranscript(place: SessionPlace, sessionId: string): Promise<boolean>;
  /** Deletes the transcripts of a conversation that another one has taken the place of; resolves with how many there were. */
  dropTranscript(place: SessionPlace, sessionId: string): Promise<number>;
  /** Whether the prompt of this run is in that transcript: what a killed run was told is known by this alone. */
  holdsPrompt(place: SessionPlace, sessionId: string, runId: string): Promise<boolean>;
  /** The newest 1 MB of a conversation for people, every piece of it through `redact`; null when there is none. */
  readTranscript(
    place: SessionPlace,
    sessionId: string,
    redact: (text: string) => string,
  ): Promise<string | null>;
}
