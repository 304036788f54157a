import type { ItemRef } from "../domain/snapshot.ts";
import type { Executor } from "./context.ts";

/** Which mark it is: its number, its time, and whether it goes before the sweep's. */
interface ItemMark {
  readonly seq: number;
  readonly urgent: boolean;
  readonly at: number;
}

/** Adds one to the mark counter of each item, inside a transaction; unknown items are made. */
export async function markItems(
  tx: Executor,
  items: readonly ItemRef[],
  mark: ItemMark,
): Promise<void> {
  const distinct = new Map(items.map((item) => [`${item.repo}#${item.number}`, item]));
  for (const { repo, number } of distinct.values()) {
    await tx
      .insertInto("item")
      .values({
        repo,
        number,
        mark: 1,
        settled: 0,
        marked_seq: mark.seq,
        marked_at: mark.at,
        urgent_seq: mark.urgent ? mark.seq : null,
      })
      .onConflict((conflict) =>
        conflict.columns(["repo", "number"]).doUpdateSet((eb) => ({
          mark: eb("item.mark", "+", 1),
          marked_seq: eb.fn.coalesce("item.marked_seq", "excluded.marked_seq"),
          marked_at: eb.fn.coalesce("item.marked_at", "excluded.marked_at"),
          urgent_seq: eb.fn.coalesce("item.urgent_seq", "excluded.urgent_seq"),
        })),
      )
      .execute();
  }
}
