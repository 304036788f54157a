import type { Kysely } from "kysely";
import type { ItemRef } from "../domain/snapshot.ts";
import { type Place, prepare } from "./prepare.ts";
import type { Tables } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** Which mark it is: its number, its time, and whether it goes before the sweep's. */
interface ItemMark {
  readonly seq: number;
  readonly urgent: boolean;
  readonly at: number;
}

/** Adds one to the mark counter of each item, inside a transaction; unknown items are made. */
export type MarkItems = (
  execute: Execute,
  items: readonly ItemRef[],
  mark: ItemMark,
) => Promise<void>;

/** Makes the function that marks items. */
export function createMarkItems(db: Kysely<Tables>): MarkItems {
  const upsert = prepare(
    db,
    (place: Place<ItemRef & { seq: number; at: number; urgent: number | null }>) =>
      db
        .insertInto("item")
        .values({
          repo: place("repo"),
          number: place("number"),
          mark: 1,
          settled: 0,
          marked_seq: place("seq"),
          marked_at: place("at"),
          urgent_seq: place("urgent"),
        })
        .onConflict((conflict) =>
          conflict.columns(["repo", "number"]).doUpdateSet((eb) => ({
            mark: eb("item.mark", "+", 1),
            marked_seq: eb.fn.coalesce("item.marked_seq", "excluded.marked_seq"),
            marked_at: eb.fn.coalesce("item.marked_at", "excluded.marked_at"),
            urgent_seq: eb.fn.coalesce("item.urgent_seq", "excluded.urgent_seq"),
          })),
        ),
  );
  return async (execute, items, { seq, urgent, at }) => {
    const distinct = new Map(items.map((item) => [`${item.repo}#${item.number}`, item]));
    for (const { repo, number } of distinct.values()) {
      await execute(upsert({ repo, number, seq, at, urgent: urgent ? seq : null }));
    }
  };
}
