import type { RunOrder } from "../../domain/decision.ts";
import type { Park } from "../../domain/ledger.ts";
import type { Policy, PolicyAgent } from "../../domain/policy.ts";
import type { ItemRef, Snapshot } from "../../domain/snapshot.ts";
import type { ForgeActor, ForgeReader } from "../../ports/forge.ts";
import type { Git, Workspace } from "../../ports/git.ts";
import type { Audit, Log, SecretScan } from "../../ports/observe.ts";
import type { EffectStore } from "../../ports/store/effects.ts";
import type { PullTable } from "../../ports/store/pulls.ts";
import type { RunStore } from "../../ports/store/runs.ts";

/** Everything the effects of one run may use; bound to its work item and its agent's account. */
export interface EffectContext {
  readonly item: ItemRef;
  readonly order: RunOrder;
  readonly run: string;
  readonly agent: PolicyAgent;
  readonly policy: Policy;
  /** As it was when the run began. */
  readonly snapshot: Snapshot;
  readonly workspace: Workspace;
  readonly branch: string;
  readonly reader: ForgeReader;
  readonly actor: ForgeActor;
  readonly git: Git;
  readonly effects: EffectStore;
  readonly runs: RunStore;
  readonly pulls: PullTable;
  /** A new snapshot of the item, read now. */
  readonly look: () => Promise<Snapshot>;
  /** Whether text of people without write access reached a session of the item. */
  readonly tainted: boolean;
  readonly now: () => number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /**
   * What this run has pushed so far; the effects keep it up to date. `remote`: where the branch is known
   * to stand on the forge; `onto`: the sha somebody moved it to, which the next push must contain.
   */
  readonly pushed: { sha: string | null; remote: string | null; onto: string | null };
  /** Set by an effect that must not be tried again in this run: the run ends with this wait. */
  readonly waits: { park: Park | null };
  readonly secrets: SecretScan;
  readonly audit: Audit;
  /** One merge per base at a time. */
  readonly oneMerge: <T>(base: string, merge: () => Promise<T>) => Promise<T>;
}

/** What is needed to look whether an effect of an order is on the forge. */
export type LookContext = Pick<
  EffectContext,
  | "item"
  | "order"
  | "agent"
  | "snapshot"
  | "branch"
  | "reader"
  | "actor"
  | "git"
  | "effects"
  | "runs"
  | "pulls"
  | "look"
  | "log"
>;
