import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { GateTable } from "../ports/gates.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import type { MetaStore } from "../ports/store/meta.ts";
import type { Store } from "../ports/store.ts";
import type { TranscriptStore } from "../ports/transcripts.ts";
import { openPostgresStore } from "../store/open-postgres-store.ts";
import { openStore } from "../store/open-store.ts";
import { ownerOf } from "./look-again.ts";

/** The value of `meta` in the local database that names the database it was copied to. */
export const MOVED_TO = "moved_to";

/** The SQLite database of a state directory. */
export function localDatabase(stateDir: string): string {
  return join(stateDir, "claude-hooks.db");
}

/** The opened stores of this process. */
export interface OpenDatabase {
  readonly store: Store;
  /** What belongs to this state directory and to no other: always in its own SQLite database. */
  readonly own: MetaStore;
  /** Where this host keeps what concerns it alone when others share the database; null: nobody does. */
  readonly ownGates: GateTable | null;
  /** The name under which this state directory holds leases: the same after every restart. */
  readonly owner: string;
  /** Where several state directories share the database: the transcripts of all of them. */
  readonly shared: TranscriptStore | null;
  close(): Promise<void>;
}

/**
 * Opens what the configuration names: the SQLite database of the state directory, or PostgreSQL
 * beside it, whose clock both count by then. `now` is this process's clock, epoch ms. Throws
 * StoreFailure with a message for people.
 */
export async function openDatabase(
  config: Pick<Config, "stateDir" | "database">,
  given: {
    readonly now: () => number;
    readonly warn: (message: string, fields: Readonly<Record<string, unknown>>) => void;
    /** Hears that the disk did not confirm what was committed to the SQLite database. */
    readonly onUnsynced?: () => void;
  },
): Promise<OpenDatabase> {
  let now = given.now;
  const path = localDatabase(config.stateDir);
  const local = await openStore({
    ...{ path, warn: given.warn },
    now: () => now(),
    ...(given.onUnsynced !== undefined && { onUnsynced: given.onUnsynced }),
  });
  try {
    const owner = await ownerOf(local);
    const own = local.meta;
    const close = async (): Promise<void> => await local.close();
    if (config.database === null) {
      await refuseMoved(own);
      return { store: local, own, ownGates: null, owner, shared: null, close };
    }
    const address = config.database.reveal();
    const { store, transcripts } = await openPostgresStore({
      address,
      self: owner,
      warn: given.warn,
      chance: Math.random,
    });
    // The times of gates are the database's, also of those that stand here: by the clock of a host that
    // is slow one that is due would be refused again and again to whoever comes to try it.
    now = store.now;
    return {
      ...{ store, own, ownGates: local.gates, owner, shared: transcripts },
      async close() {
        await store.close();
        await close();
      },
    };
  } catch (error) {
    await local.close();
    throw error;
  }
}

/** What was copied is old from the first minute on: starting from it would forget everything since. */
async function refuseMoved(own: MetaStore): Promise<void> {
  const place = await own.get(MOVED_TO);
  if (place === null) return;
  throw new StoreFailure(
    "open",
    `the database of this state directory was copied to ${place}: write its address as database in the configuration, or move claude-hooks.db away to begin with an empty one`,
  );
}
