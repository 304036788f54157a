import type { ItemRef } from "../domain/snapshot.ts";
import type { DeliveryCounts } from "../intake/count-deliveries.ts";
import type { Gates } from "../ports/gates.ts";
import type { Audit, Log } from "../ports/observe.ts";
import type { RunView } from "../ports/store/runs.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { PauseScope } from "../ports/store/work.ts";
import type { Store } from "../ports/store.ts";
import type { AdminAccess } from "./admin-access.ts";

/** What the admin API reads of the store; it writes nothing there itself. */
interface AdminStore {
  readonly deliveries: Pick<Store["deliveries"], "list">;
  readonly work: Pick<Store["work"], "items" | "item" | "snapshot" | "waiting" | "paused">;
  readonly pulls: Pick<Store["pulls"], "itemOf">;
  readonly sessions: Pick<Store["sessions"], "all" | "get">;
  readonly conversations: Pick<Store["conversations"], "current" | "of">;
  readonly runs: Pick<Store["runs"], "list" | "get" | "totals" | "spent">;
  readonly ledger: Pick<Store["ledger"], "read">;
}

/** What an operator can do with sessions. */
export interface SessionsControl {
  /** Drops one session: whether there was one, or `running` while its run is alive. */
  reset(agent: string, repo: string, number: number): Promise<boolean | "running">;
  /** Drops every agent's session of a work item: how many there were, or `running` while any run of it is alive. */
  resetItem(item: ItemRef): Promise<number | "running">;
  /** The conversation of a session for people, secrets taken out; null when none lies on disk. */
  transcript(session: SessionRow): Promise<string | null>;
}

/** Everything the admin listener is given. */
export interface AdminOptions extends AdminAccess {
  readonly store: AdminStore;
  readonly sessions: SessionsControl;
  /** Whether the configuration has this agent, or an entry for this repository; absent: all are taken for known. */
  readonly isConfigured?: (scope: PauseScope) => boolean;
  readonly control: {
    pause(scope: PauseScope): Promise<void>;
    /** Without a scope it ends a drain, too. */
    resume(scope: PauseScope): Promise<void>;
    /** Stops a living run and holds its item; resolves with the run as it is when it has ended, or after 10 s. */
    cancel(run: RunView): Promise<RunView>;
    /** Stops a run of the item and holds it; false for an unknown item. Resolves when the run has ended, or after 10 s. */
    park(item: ItemRef): Promise<boolean>;
    /** Lets an item go on that was held, parked or has used up its limits; false for an unknown one. */
    goOn(item: ItemRef): Promise<boolean>;
    /** Claims no more runs and stops the living ones; resolves with how many are left when they have ended, or after 10 s. */
    drain(): Promise<number>;
  };
  readonly status: () => {
    readonly deliveries: DeliveryCounts;
    /** The file that pauses everything is in the state directory. */
    readonly pausedByFile: boolean;
    /** No run is started until the service is restarted or resumed. */
    readonly draining: boolean;
    /** Agents that administrate a repository, which none should; absent: none known. */
    readonly administrators?: readonly { readonly repo: string; readonly agent: string }[];
  };
  readonly gates: Pick<Gates, "closed" | "holding">;
  readonly readiness: () => {
    /** A delivery can be recorded now. */
    readonly ready: boolean;
    readonly sweep: "running" | "done" | "failed";
  };
  readonly metricsText: () => Promise<string>;
  readonly audit: Audit;
  readonly version: string;
  readonly log: Log;
}
