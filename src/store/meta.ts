import { sql } from "kysely";
import type { MetaStore } from "../ports/store/meta.ts";
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
    async keys({ prefix, after, limit }) {
      const rows = await context.db
        .selectFrom("meta")
        .select("key")
        .where("key", ">=", prefix)
        .where("key", "<", endOf(prefix))
        .where("key", ">", after)
        .orderBy("key")
        .limit(limit)
        .execute();
      return rows.map(({ key }) => key);
    },
    async remove(key) {
      await context.db.deleteFrom("meta").where("key", "=", key).execute();
    },
  };
}

/** The first text in order that does not begin with an ASCII prefix any more. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}
