import type { PrefixTable } from "../ports/store/prefixes.ts";
import type { StoreContext } from "./context.ts";

/** What the requests of each session's conversation begin with. A row outlives its session, as the history does. */
export function createPrefixes({ db }: StoreContext): PrefixTable {
  return {
    async put({ key, ...begun }) {
      await db
        .insertInto("prefix")
        .values({ key, ...begun })
        .onConflict((conflict) => conflict.column("key").doUpdateSet(begun))
        .execute();
    },
    async current() {
      return await db
        .selectFrom("prefix")
        .innerJoin("session", (join) =>
          join
            .onRef("session.key", "=", "prefix.key")
            .onRef("session.session_id", "=", "prefix.session"),
        )
        .select(["prefix.key", "prefix.session", "prefix.agent", "prefix.model", "prefix.tools"])
        .orderBy("prefix.key")
        .execute();
    },
  };
}
