import type { Hold } from "./hold.ts";
import type { Skill } from "./skill.ts";

/** Why a run ended; a closed set. */
export type Outcome =
  | "succeeded"
  | "asked"
  | "declined"
  | "failed"
  | "timed_out"
  | "stalled"
  | "cancelled"
  | "parked";

/** One execution of a skill, as the ledger keeps it. */
export interface RunRecord {
  readonly id: string;
  readonly agent: string;
  readonly skill: Skill;
  readonly attempt: number;
  readonly fingerprint: string;
  readonly session: string;
  readonly resumed: boolean;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly outcome: Outcome | null;
  /** Why, in one short sentence or a typed word such as `no_effect`. */
  readonly reason: string | null;
  readonly usd: number;
  /** Tokens of every kind together. */
  readonly tokens: number;
  /** The pull request's head that was given to the run; null before there is one. */
  readonly headSha: string | null;
  /** The sha this run pushed, or null. */
  readonly pushedSha: string | null;
  /** Ids of every text (see `textId`) its session had been shown when this run began. */
  readonly shown: readonly string[];
}

/** The name of the wait after somebody has pushed to an agent's branch twice in one run. */
export const BRANCH_MOVED = "branch moved";

/** A wait with a name: for a time, or (until null) for a person. */
export interface Park {
  /** The row it hides: a skill, or `all` for money and the number of runs. */
  readonly row: Skill | "all";
  readonly name: string;
  /** What it waits for and how to go on, one sentence for people; no counters, no times. */
  readonly reason: string;
  readonly until: number | null;
  readonly since: number;
  /** The order is tried again then by itself, see retryPark: how often in a row this kept it from its work. */
  readonly attempt?: number;
}

/** An intent to act on the forge, and what became of it. */
export interface EffectRecord {
  readonly id: number;
  readonly key: string;
  readonly run: string;
  readonly tool: string;
  readonly state: "intent" | "done" | "refused";
  /** The forge's own id or number of what was made, when there is one. */
  readonly ref: number | null;
  readonly text: string;
  readonly at: number;
}

/** What the service itself knows of a work item: the second half of every decision. */
export interface Ledger {
  /** Oldest first. */
  readonly runs: readonly RunRecord[];
  readonly parks: readonly Park[];
  readonly effects: readonly EffectRecord[];
  /** Something of the item is still here: sessions, clones or an undeleted merged branch. */
  readonly leftovers: {
    readonly sessions: number;
    readonly clones: number;
    readonly branches: readonly string[];
  };
  /** Shas this service pushed to branches of this item. */
  readonly pushed: readonly string[];
  /** A session of the item has seen text of somebody without write access. */
  readonly tainted: boolean;
  readonly usdItem: number;
  readonly usdToday: number;
  /** Tokens of all runs of today, of every kind together. */
  readonly tokensToday: number;
  /** A pause that covers the item: everything, its repository, or the named agents. */
  readonly paused: { readonly all: boolean; readonly agents: readonly string[] };
  readonly hold: Hold | null;
  /** The newest run when an operator last let the item go on: up to it nothing counts to a limit any more. */
  readonly continuedAfter: string | null;
}
