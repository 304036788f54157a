import { sql } from "kysely";
import type { MetaStore } from "../ports/store.ts";
import type { StoreContext } from "./context.ts";

/** Small values of the service itself. */
export function createMeta(context: StoreContext): MetaStore {
  return {
    async get(key) {
      const row = await context.db
        .selectFrom("meta")
        .select("value")
        .where("key", "=", key)
        .executeTakeFirst();
      return row?.value ?? null;
    },
    async set(key, value) {
      await context.db
        .insertInto("meta")
        .values({ key, value })
        .onConflict((conflict) =>
          conflict.column("key").doUpdateSet({ value: sql.ref("excluded.value") }),
        )
        .execute();
    },
  };
}
