import type { ItemRef } from "../domain/snapshot.ts";

/** The two columns that name a work item, and nothing else that `item` may carry. */
export function placeOf(item: ItemRef): { readonly repo: string; readonly number: number } {
  return { repo: item.repo, number: item.number };
}
