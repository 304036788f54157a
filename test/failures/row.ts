import type { Outcome } from "../../src/domain/ledger.ts";
import type { AgentEnd } from "../../src/ports/agent.ts";
import type { Respond } from "../support/agent-world.ts";
import type { Provoked, Stage } from "./stage.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
/** A wait for a time that nobody named. */
export const LATER = 5 * MINUTE;

/** One row of the failure table. */
export interface Row {
  /** As it stands in docs/failures.md. */
  readonly name: string;
  /** Brings the failure about; what it returns is part of the run. */
  readonly provoke?: (stage: Stage) => Promise<Provoked> | Provoked;
  readonly respond?: Respond;
  /** What the disk says to do, before the run that fails. */
  readonly before?: "start" | "resume" | "continue";
  /** How the first asking of the CLI ends. */
  readonly end: { readonly kind: AgentEnd["kind"] } & Readonly<Record<string, unknown>>;
  /** What the run did in order; by default one asking in the old session and one look at the forge. */
  readonly steps?: readonly string[];
  readonly outcome: Outcome;
  /** How the reason in the ledger begins. */
  readonly reason: string;
  /** How long its row is held back, in milliseconds; absent: not at all, the next attempt is the queue's. */
  readonly parkedMs?: number;
  /** The gate of the model is closed instead, for everybody: until a time named in so many milliseconds, or null. */
  readonly blockedMs?: number | null;
  /** How the next run meets the session. */
  readonly next: "resume" | "continue" | "rotate";
  /** The conversation of the run before is still there. */
  readonly kept: boolean;
  /** What the next run does; by default one asking that succeeds. */
  readonly nextSteps?: readonly string[];
  /** How often the model was asked, where that is part of the promise. */
  readonly requests?: number;
}

export const DONE: Provoked = { findings: ["fulfilled"] };
export const SUCCEEDED = {
  outcome: "succeeded",
  reason: "the forge shows it",
  next: "resume",
} as const;
/** Told, but not done: the next run goes on with the true state, and the order is not repeated. */
export const KEPT = { next: "continue", kept: true } as const;

/** The lost conversation was not replaced yet: the next run does it. */
export const STILL_LOST = {
  next: "continue",
  nextSteps: ["resume", "look", "start", "look"],
} as const;
