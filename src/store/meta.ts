import type { MetaStore } from "../ports/store/meta.ts";
import type { StoreContext } from "./context.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { firstOf } from "./transact.ts";

/** Small values of the service itself. */
export function createMeta(context: StoreContext): MetaStore {
  const { db } = context;
  const find = prepare(db, (place: Place<{ key: string }>) =>
    db.selectFrom("meta").select("value").where("key", "=", place("key")),
  );
  const put = prepare(db, (place: Place<{ key: string; value: string }>) =>
    db
      .insertInto("meta")
      .values(places(place, ["key", "value"]))
      .onConflict((conflict) =>
        conflict.column("key").doUpdateSet((eb) => ({ value: eb.ref("excluded.value") })),
      ),
  );
  return {
    async get(key) {
      return (await firstOf(context.read(find({ key }))))?.value ?? null;
    },
    async set(key, value) {
      await context.write(put({ key, value }));
    },
    async keys({ prefix, after, limit }) {
      const rows = await db
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
      await db.deleteFrom("meta").where("key", "=", key).execute();
    },
  };
}

/** The first text in order that does not begin with an ASCII prefix any more. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}
