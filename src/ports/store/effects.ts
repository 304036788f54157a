import type { EffectRecord } from "../../domain/ledger.ts";
import type { ItemRef } from "../../domain/snapshot.ts";
import type { Claim } from "./claims.ts";

/** The record of effects: intents, and what became of them. */
export interface EffectStore {
  /**
   * Writes the intent; an existing record of the key is returned instead and nothing is written,
   * except that a refused one becomes the intent of this run: it is tried anew.
   */
  intend(effect: {
    key: string;
    run: string;
    item: ItemRef;
    tool: string;
    at: number;
    /** Given: throws StoreFailure `lost`, and nothing is written, when its lease does not hold any more. */
    claim?: Claim;
  }): Promise<EffectRecord>;
  finish(
    id: number,
    end: { state: "done" | "refused"; ref: number | null; text: string },
  ): Promise<void>;
  openIntents(item: ItemRef): Promise<readonly EffectRecord[]>;
}
