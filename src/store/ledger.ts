import { sql } from "kysely";
import type { ItemRef } from "../domain/snapshot.ts";
import type { LedgerStore } from "../ports/store/ledger.ts";
import type { StoreContext } from "./context.ts";
import { readLedger, readSpending } from "./read-ledger.ts";

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
    async spending(item) {
      return await readSpending(db, item, context.now());
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
    async cloneRemoved(item, agent) {
      await db
        .deleteFrom("clone")
        .where((eb) => eb.and({ ...placeOf(item), agent }))
        .execute();
    },
    async clones() {
      const rows = await db
        .selectFrom("clone")
        .leftJoin("item", (join) =>
          join.onRef("item.repo", "=", "clone.repo").onRef("item.number", "=", "clone.number"),
        )
        .select(["clone.repo", "clone.number", "clone.agent", "item.state"])
        .select((eb) =>
          eb
            .selectFrom("run")
            .select((run) => run.fn.max("run.ended_at").as("at"))
            .whereRef("run.repo", "=", "clone.repo")
            .whereRef("run.number", "=", "clone.number")
            .whereRef("run.agent", "=", "clone.agent")
            .as("ended_at"),
        )
        .execute();
      return rows.map(({ repo, number, agent, state, ended_at: endedAt }) => ({
        item: { repo, number },
        agent,
        endedAt,
        isWaitedFor: state === "waiting" || state === "running",
      }));
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
