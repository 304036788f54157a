import { sql } from "kysely";
import type { ItemRef } from "../domain/snapshot.ts";
import type { LedgerStore } from "../ports/store.ts";
import type { StoreContext } from "./context.ts";
import { readLedger } from "./read-ledger.ts";

/** What the service itself knows of an item. */
export function createLedger(context: StoreContext): LedgerStore {
  const { db } = context;
  return {
    async read(item) {
      return db
        .transaction()
        .setAccessMode("read only")
        .execute((tx) => readLedger(tx, item, { now: context.now(), warn: context.warn }));
    },
    async cloneMade(item, agent) {
      await db
        .insertInto("clone")
        .values({ ...placeOf(item), agent })
        .onConflict((conflict) => conflict.columns(["repo", "number", "agent"]).doNothing())
        .execute();
    },
    async clonesRemoved(item) {
      await db
        .deleteFrom("clone")
        .where((eb) => eb.and(placeOf(item)))
        .execute();
    },
    async branchTried(item, branch) {
      await db
        .updateTable("branch")
        .set({ tried: 1 })
        .where((eb) => eb.and({ ...placeOf(item), branch }))
        .execute();
    },
    async said(item) {
      const row = await db
        .selectFrom("item")
        .select("said")
        .where((eb) => eb.and(placeOf(item)))
        .executeTakeFirst();
      return row?.said ?? null;
    },
    async say(item, text) {
      await db
        .insertInto("item")
        .values({ ...placeOf(item), mark: 0, settled: 0, said: text })
        .onConflict((conflict) =>
          conflict.columns(["repo", "number"]).doUpdateSet({ said: sql.ref("excluded.said") }),
        )
        .execute();
    },
  };
}

function placeOf(item: ItemRef): { readonly repo: string; readonly number: number } {
  return { repo: item.repo, number: item.number };
}
