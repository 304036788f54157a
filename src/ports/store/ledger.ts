import type { Spending } from "../../domain/budget.ts";
import type { Ledger } from "../../domain/ledger.ts";
import type { ItemRef } from "../../domain/snapshot.ts";

/** A clone as the ledger knows it. */
export interface ItemClone {
  readonly item: ItemRef;
  readonly agent: string;
  /** When the last run in it ended, epoch ms; null: none has. */
  readonly endedAt: number | null;
  /** A run of its item waits for a slot or is alive. */
  readonly isWaitedFor: boolean;
}

/** What decisions and the disk need to know of items. */
export interface LedgerStore {
  /** Everything `decide` needs of one item, read in one transaction. */
  read(item: ItemRef): Promise<Ledger>;
  /** The part of it that budgets are about. */
  spending(item: ItemRef): Promise<Spending>;
  cloneMade(item: ItemRef, agent: string): Promise<void>;
  clonesRemoved(item: ItemRef): Promise<void>;
  cloneRemoved(item: ItemRef, agent: string): Promise<void>;
  /** Every clone there is. */
  clones(): Promise<readonly ItemClone[]>;
  branchTried(item: ItemRef, branch: string): Promise<void>;
  /** A comment we wrote about a park: its text digest, so that only a different text is said. */
  said(item: ItemRef): Promise<string | null>;
  say(item: ItemRef, text: string | null): Promise<void>;
}
