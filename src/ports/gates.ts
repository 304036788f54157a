import type { Blocker, Gate, GateReason } from "../domain/gate.ts";

/** Where closed gates outlive the process, and where several processes see those of each other. */
export interface GateTable {
  /** All closed gates, by name; `probe` is who tries for as long as that was said to last. */
  all(): Promise<readonly Gate[]>;
  /** Writes a closed gate in place of the one of its name; who tries it stays who it was. */
  put(gate: Gate): Promise<void>;
  remove(name: string): Promise<void>;
  /**
   * Lets `by` be the only one who tries a gate that is due, until `until` (epoch ms), or longer if it
   * is that one already. `closed`: somebody else is, or it is not due; `open`: there is no such row.
   */
  takeProbe(name: string, by: string, until: number): Promise<"begun" | "closed" | "open">;
  /** `by` tries nothing any more. */
  leaveProbe(by: string): Promise<void>;
}

/** What a cheap question about a gate was answered. */
export type ProbeAnswer =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: GateReason; readonly until: number | null };

/**
 * The gates in front of all runs. `by` names who passes, see `passName`. No method but `follow`
 * fails: what cannot be written down holds in memory.
 */
export interface Gates {
  /** Every closed gate, ordered by name. */
  closed(): readonly Gate[];
  /** Names of all gates there are, ordered. */
  names(): readonly string[];
  isClosed(name: string): boolean;
  /** The gate that holds new runs of this agent the longest, or null; one that may be tried now holds nobody. */
  holding(agent: string): Gate | null;
  /** Agents none of whose orders may begin now. */
  held(): readonly string[];
  /**
   * Takes over which gates other processes have closed and opened since; a gate that can be asked
   * about is each host's own. Throws what the table throws.
   */
  follow(): Promise<void>;
  /**
   * An order of `agent` begins: it is the one that tries every gate of its agent that is due. False:
   * another process was quicker, and the order must not begin.
   */
  enter(agent: string, by: string): Promise<boolean>;
  /** `by` has found a gate closed (null: nobody who was let through). */
  block(blocker: Blocker, by: string | null): void;
  /** `by` has had what is behind the gate. */
  pass(name: string, by: string): void;
  /** `by` is over. */
  leave(by: string): void;
  /** Something looks as if the gate should be closed: asks, closes it if that is so, and resolves with whether it is closed. */
  suspect(name: string): Promise<boolean>;
  /** Asks about closed gates whose time has come, in the background. */
  tryDue(): void;
  /** The next time at which a gate may be tried, epoch milliseconds, or null. */
  nextTry(): number | null;
  /** Resolves when everything under way is done and written down. */
  settled(): Promise<void>;
}
