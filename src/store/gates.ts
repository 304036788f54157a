import type { GateTable } from "../ports/gates.ts";
import type { StoreContext } from "./context.ts";

/** The closed gates, so that a restart does not open them. */
export function createGateTable({ db }: StoreContext): GateTable {
  return {
    async all() {
      const rows = await db.selectFrom("gate").selectAll().orderBy("name").execute();
      return rows.map((row) => ({
        name: row.name,
        reason: row.reason,
        attempt: row.attempt,
        since: row.since,
        retryAt: row.retry_at,
        isNamed: row.is_named === 1,
        probe: null,
      }));
    },
    async put({ name, reason, attempt, since, retryAt, isNamed }) {
      const row = { reason, attempt, since, retry_at: retryAt, is_named: isNamed ? 1 : 0 };
      await db
        .insertInto("gate")
        .values({ name, ...row })
        .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
        .execute();
    },
    async remove(name) {
      await db.deleteFrom("gate").where("name", "=", name).execute();
    },
  };
}
