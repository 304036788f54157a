import { randomUUID } from "node:crypto";
import type { Config } from "../config/config.ts";
import { digestOf } from "../domain/seen.ts";
import type { ItemRow } from "../ports/store/items.ts";
import type { Page } from "../ports/store/page.ts";
import type { Store } from "../ports/store.ts";

const ITEMS_PAGE = 200;

/** Marks every known item whose row says so, page by page. */
export async function markAgain(store: Store, isWanted: (row: ItemRow) => boolean): Promise<void> {
  let before: string | null = null;
  do {
    const page: Page<ItemRow> = await store.work.items(ITEMS_PAGE, before);
    const marks = page.rows.filter(isWanted).map(({ repo, number }) => ({
      repo,
      target: { kind: "number" as const, number },
    }));
    await store.work.mark(marks, true);
    before = page.next;
  } while (before !== null);
}

/** A changed configuration may decide otherwise: everything is looked at again, also what had ended long ago. */
export async function noticeNewConfig(store: Store, config: Config): Promise<void> {
  const { agents, repositories, limits, sandbox } = config.document;
  const digest = digestOf(JSON.stringify({ agents, repositories, limits, sandbox }));
  if ((await store.meta.get("config")) === digest) return;
  await store.meta.set("sweep:since", "0");
  await markAgain(store, () => true);
  await store.meta.set("config", digest);
}

/** The name under which this state directory holds leases: the same after every restart. */
export async function ownerOf(store: Store): Promise<string> {
  const known = await store.meta.get("owner");
  if (known !== null) return known;
  const owner = randomUUID();
  await store.meta.set("owner", owner);
  return owner;
}
