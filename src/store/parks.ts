import type { Park } from "../domain/ledger.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { Executor, Warn } from "./context.ts";
import { parksSchema, readJson } from "./json-columns.ts";

async function readParks(tx: Executor, item: ItemRef, warn: Warn): Promise<readonly Park[]> {
  const row = await tx
    .selectFrom("item")
    .select("parks_json")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .executeTakeFirst();
  return row === undefined ? [] : parksOf(row.parks_json, item, warn);
}

/** What a row of `item` says of its parks; damaged ones count as none and are reported. */
export function parksOf(json: string, item: ItemRef, warn: Warn): readonly Park[] {
  const where = `item ${item.repo}#${item.number} parks_json`;
  return readJson(json, parksSchema, { warn, where }) ?? [];
}

/** Adds a park in place of one of the same row, inside a transaction. */
export async function addPark(
  tx: Executor,
  { item, park }: { readonly item: ItemRef; readonly park: Park },
  warn: Warn,
): Promise<void> {
  const others = (await readParks(tx, item, warn)).filter((other) => other.row !== park.row);
  await tx
    .updateTable("item")
    .set({ parks_json: JSON.stringify([...others, park]) })
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .execute();
}

/** Forgets how often an order had to be tried: it was carried out. Inside a transaction. */
export async function dropRetries(
  tx: Executor,
  { item, row }: { readonly item: ItemRef; readonly row: Park["row"] },
  warn: Warn,
): Promise<void> {
  const parks = await readParks(tx, item, warn);
  const kept = parks.filter((park) => park.row !== row || park.attempt === undefined);
  if (kept.length === parks.length) return;
  await tx
    .updateTable("item")
    .set({ parks_json: JSON.stringify(kept) })
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .execute();
}
