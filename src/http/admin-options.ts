import type { ItemRef } from "../domain/snapshot.ts";
import type { DeliveryCounts } from "../intake/count-deliveries.ts";
import type { Log } from "../ports/observe.ts";
import type { PauseScope, SessionRow, Store } from "../ports/store.ts";
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

/** Everything the admin listener is given. */
export interface AdminOptions extends AdminAccess {
  readonly store: AdminStore;
  readonly sessions: {
    /** Drops one session: whether there was one, or `running` while its run is alive. */
    reset(agent: string, repo: string, number: number): Promise<boolean | "running">;
    /** Drops every agent's session of a work item: how many there were, or `running` while any run of it is alive. */
    resetItem(item: ItemRef): Promise<number | "running">;
    /** The conversation of a session for people, secrets taken out; null when none lies on disk. */
    transcript(session: SessionRow): Promise<string | null>;
  };
  readonly control: {
    pause(scope: PauseScope): Promise<void>;
    resume(scope: PauseScope): Promise<void>;
  };
  readonly status: () => { readonly deliveries: DeliveryCounts };
  readonly readiness: () => {
    /** A delivery can be recorded now. */
    readonly ready: boolean;
    readonly sweep: "running" | "done" | "failed";
  };
  readonly metricsText: () => Promise<string>;
  readonly version: string;
  readonly log: Log;
}
