import type { GateTable } from "./gates.ts";
import type { ConversationTable } from "./store/conversations.ts";
import type { DeliveryStore } from "./store/deliveries.ts";
import type { EffectStore } from "./store/effects.ts";
import type { LedgerStore } from "./store/ledger.ts";
import type { MetaStore } from "./store/meta.ts";
import type { PrefixTable } from "./store/prefixes.ts";
import type { PullTable } from "./store/pulls.ts";
import type { RunStore } from "./store/runs.ts";
import type { SessionTable } from "./store/sessions.ts";
import type { WorkStore } from "./store/work.ts";

/** Everything that is kept, in one database. */
export interface Store {
  readonly deliveries: DeliveryStore;
  readonly work: WorkStore;
  readonly pulls: PullTable;
  readonly sessions: SessionTable;
  readonly conversations: ConversationTable;
  readonly runs: RunStore;
  readonly effects: EffectStore;
  readonly ledger: LedgerStore;
  readonly meta: MetaStore;
  readonly gates: GateTable;
  readonly prefixes: PrefixTable;
  /** How long no delivery was recorded, in milliseconds; 0 while one waits to be. */
  quietMs(): number;
  /** Moves what was committed to where it stays, so that a later commit need not; best while nothing waits. */
  checkpoint(): Promise<void>;
  /** Epoch ms by the clock that leases are counted by: the process's own, or the database's where several processes share one. */
  now(): number;
  /**
   * Called once others can read a write that may make work due, for a delivery before the disk has it; with
   * PostgreSQL also after those of other processes.
   */
  onWake(listener: () => void): void;
  /** Called after every write for which the disk of the database had no room; the write itself fails. */
  onFull(listener: () => void): void;
  close(): Promise<void>;
}
