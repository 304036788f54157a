import type { Mark } from "./marks.ts";
import type { Page } from "./page.ts";

/** A delivery as it is kept: of its body the digest only. `receivedAt` is epoch ms. */
export interface DeliveryRecord {
  readonly id: string;
  readonly event: string;
  readonly repo: string | null;
  readonly number: number | null;
  readonly sender: string | null;
  readonly receivedAt: number;
  readonly status: "accepted" | "ignored";
  readonly reason: string | null;
  readonly bodySha256: string;
}

/** The deliveries that were taken in. */
export interface DeliveryStore {
  /**
   * Durable when it resolves. `duplicate`: an accepted delivery of this id is known, and nothing was
   * written; or one of another id with the same event and body (the same hook registered twice) was
   * accepted at most 5 minutes before: then it is kept, and its marks are set all the same. What was
   * ignored, or failed with its transaction, is not remembered as handled: sent again under the same
   * id it is taken as if it were new.
   */
  record(delivery: DeliveryRecord, marks: readonly Mark[]): Promise<"accepted" | "duplicate">;
  /** Deletes up to `limit` of those received before (epoch ms), the oldest first; resolves with how many. */
  forget(before: number, limit: number): Promise<number>;
  list(limit: number, before: string | null): Promise<Page<DeliveryRecord>>;
}
