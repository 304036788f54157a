import type { LedgerStore } from "../ports/store/ledger.ts";
import type { StoreContext } from "./context.ts";
import { placeOf } from "./place-of.ts";

/** The part of the ledger that knows which clones there are on this disk. */
export function createClones({
  db,
}: StoreContext): Pick<LedgerStore, "cloneMade" | "clonesRemoved" | "cloneRemoved" | "clones"> {
  return {
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
  };
}
