import type { RunOrder } from "../../domain/decision.ts";
import type { Outcome, RunRecord } from "../../domain/ledger.ts";
import type { Seen } from "../../domain/seen.ts";
import type { ItemRef } from "../../domain/snapshot.ts";
import type { TokenUsage } from "../gateway.ts";
import type { ProcessIdentity } from "../jail.ts";
import type { Claim } from "./claims.ts";
import type { Beginning } from "./conversations.ts";
import type { Page } from "./page.ts";
import type { SessionRow } from "./sessions.ts";

/** Money and tokens of some runs. */
export interface Spent {
  readonly runs: number;
  readonly usd: number;
  readonly tokens: TokenUsage;
}

/** A run as it begins; `startedAt` is epoch ms, `shown` the ids of the texts and acts in its prompt. */
export interface RunStart {
  readonly id: string;
  readonly item: ItemRef;
  readonly order: RunOrder;
  readonly session: SessionRow;
  readonly resumed: boolean;
  readonly startedAt: number;
  readonly shown: readonly string[];
  /** What the session has seen once it has read this run's prompt. */
  readonly seen: Seen;
  readonly promptBytes: number;
  /** Why the conversation begins, if the run begins one. */
  readonly begins?: Beginning;
}

/** How a run ended; `endedAt` is epoch ms. */
export interface RunEnd {
  readonly id: string;
  readonly endedAt: number;
  readonly outcome: Outcome;
  readonly reason: string;
  /** Left out, with `tokens`: what was metered while it ran holds. */
  readonly usd?: number;
  readonly tokens?: TokenUsage;
  /** The session after the run, written in the same transaction; null drops it. */
  readonly session: SessionRow | null;
  /** Tokens of the newest request of its conversation; left out when there was none. */
  readonly contextTokens?: number;
}

/** A run with its work item, for people. */
export interface RunView extends RunRecord {
  readonly repo: string;
  readonly number: number;
  readonly promptBytes: number;
}

/** The runs, from their start to their end. */
export interface RunStore {
  /**
   * Writes run and session in one transaction, fenced by the claim; resolves with the number of the attempt,
   * null when the lease is lost. On SQLite a power cut may take both back until `spawned` has resolved:
   * nothing may be done for the run before.
   */
  start(claim: Claim, run: RunStart): Promise<number | null>;
  /** Records the process of a run; durable when it resolves, with everything written before. Throws StoreFailure `unknown_run`. */
  spawned(run: string, process: ProcessIdentity): Promise<void>;
  pushed(run: string, branch: string, sha: string): Promise<void>;
  /** The run goes on in another session (the old conversation was lost); writes both rows in one transaction. */
  sessionChanged(
    run: string,
    session: SessionRow,
    told: {
      readonly shown: readonly string[];
      readonly seen: Seen;
      readonly begins?: Beginning;
    },
  ): Promise<void>;
  /** What the run has used so far, so that a kill does not lose it; nothing once it has ended. */
  metered(run: string, used: { readonly usd: number; readonly tokens: TokenUsage }): Promise<void>;
  /** What was spent in all, by agent, by repository, and on each of the last `days` UTC days with a run that ended; newest day first. */
  spent(days: number): Promise<{
    readonly all: Spent;
    readonly agents: readonly (Spent & { readonly agent: string })[];
    readonly repositories: readonly (Spent & { readonly repo: string })[];
    readonly days: readonly (Spent & { readonly day: string })[];
  }>;
  end(end: RunEnd): Promise<void>;
  /**
   * What `owner` has left behind, with the process of the CLI if it was recorded (boot: end these
   * first): runs without an end, and those that somebody else has ended when their lease ran out.
   */
  unfinished(
    owner: string,
  ): Promise<readonly { readonly run: RunView; readonly process: ProcessIdentity | null }[]>;
  list(limit: number, before: string | null): Promise<Page<RunView>>;
  get(id: string): Promise<RunView | null>;
  /** What the run's session had seen with its prompt, or null for an unknown run. */
  seen(id: string): Promise<Seen | null>;
  totals(): Promise<{
    readonly started: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly parked: number;
    readonly active: number;
  }>;
}
