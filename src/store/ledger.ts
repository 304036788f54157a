import { sql } from "kysely";
import type { LedgerStore } from "../ports/store/ledger.ts";
import { createClones } from "./clones.ts";
import type { StoreContext } from "./context.ts";
import { placeOf } from "./place-of.ts";
import { createReadCosts, createReadLedger, createReadSpentToday } from "./read-ledger.ts";

/** What the service itself knows of an item. */
export function createLedger(context: StoreContext): LedgerStore {
  const { db } = context;
  const readLedger = createReadLedger(context);
  const readCosts = createReadCosts(db);
  const readSpentToday = createReadSpentToday(db);
  return {
    ...createClones(context),
    async read(item) {
      return await context.transactReading((execute) => readLedger(execute, item, context.now()));
    },
    async spending(item) {
      const { usdItem } = await readCosts(context.read, item);
      return { usdItem, ...(await readSpentToday(context.read, context.now())) };
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
