import type { DeliveryCounts } from "../intake/count-deliveries.ts";
import type { Log } from "../ports/observe.ts";
import type { PauseScope, Store } from "../ports/store.ts";
import type { AdminAccess } from "./admin-access.ts";

/** What the admin API reads of the store; it writes nothing there itself. */
interface AdminStore {
  readonly deliveries: Pick<Store["deliveries"], "list">;
  readonly work: Pick<Store["work"], "items" | "item" | "snapshot" | "waiting" | "paused">;
  readonly pulls: Pick<Store["pulls"], "itemOf">;
  readonly sessions: Pick<Store["sessions"], "all">;
  readonly runs: Pick<Store["runs"], "list" | "get" | "totals">;
  readonly ledger: Pick<Store["ledger"], "read">;
}

/** Everything the admin listener is given. */
export interface AdminOptions extends AdminAccess {
  readonly store: AdminStore;
  readonly sessions: {
    /** Drops one session: whether there was one, or `running` while its run is alive. */
    reset(agent: string, repo: string, number: number): Promise<boolean | "running">;
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
