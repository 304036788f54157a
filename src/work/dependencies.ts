import type { Policy } from "../domain/policy.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { Forge, ForgeReader } from "../ports/forge.ts";
import type { Gates } from "../ports/gates.ts";
import type { Git } from "../ports/git.ts";
import type { Audit, Log, Metrics } from "../ports/observe.ts";
import type { Store } from "../ports/store.ts";

/** Everything reconciling and sweeping is made with; built once in main. */
export interface WorkDependencies {
  readonly forge: Forge;
  /** The same reads for the sweep, which wait behind all others. */
  readonly sweepReader: Pick<
    ForgeReader,
    "changedFor" | "changedWithLabel" | "changedOf" | "clockOffset"
  >;
  readonly git: Git;
  readonly store: Store;
  /** The policy of a repository, or null when the configuration does not name it. */
  readonly policy: (repo: string) => Policy | null;
  /** Every policy of the configuration; the repository of one for all of an owner is `owner/*`. */
  readonly policies: () => readonly Policy[];
  readonly agents: () => readonly { readonly name: string; readonly login: string }[];
  /** Reads the item from the forge now, and remembers which pull requests belong to it. Throws ForgeFailure. */
  readonly readSnapshot: (item: ItemRef) => Promise<Snapshot>;
  /** Drops every agent's session of the item with its transcripts; resolves with how many. */
  readonly dropSessions: (item: ItemRef) => Promise<number>;
  readonly gates: Gates;
  /** Names of the agents that administrate the repository; absent: not asked. Throws ForgeFailure. */
  readonly administrators?: (repo: string) => Promise<readonly string[]>;
  /** Whether the file that pauses everything is there; asks the file system, never the database. */
  readonly pausedByFile: () => boolean;
  readonly now: () => number;
  /** A random number from 0 up to 1. */
  readonly chance: () => number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly audit: Audit;
}
