import type { Gate } from "../domain/gate.ts";
import type { GateTable } from "../ports/gates.ts";
import type { StoreContext } from "./context.ts";
import type { Tables } from "./tables.ts";

const NOBODY = { probe: null, probe_until: null };

/** The closed gates, so that a restart does not open them, and what one process finds holds for all. */
export function createGateTable(context: StoreContext): GateTable {
  const { db, now, wake } = context;
  return {
    async all() {
      const rows = await db.selectFrom("gate").selectAll().orderBy("name").execute();
      return rows.map((row) => toGate(row, now()));
    },
    async put({ name, reason, attempt, since, retryAt, isNamed }) {
      const row = { reason, attempt, since, retry_at: retryAt, is_named: isNamed ? 1 : 0 };
      await db
        .insertInto("gate")
        .values({ name, ...row, ...NOBODY })
        .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
        .execute();
      wake();
    },
    async remove(name) {
      await db.deleteFrom("gate").where("name", "=", name).execute();
      wake();
    },
    async takeProbe(name, by, until) {
      // One statement: of several who want to try one does, whatever the engine.
      const taken = await db
        .updateTable("gate")
        .set({ probe: by, probe_until: until })
        .where("name", "=", name)
        .where("retry_at", "<=", now())
        .where((eb) =>
          eb.or([eb("probe", "is", null), eb("probe", "=", by), eb("probe_until", "<=", now())]),
        )
        .returning("name")
        .executeTakeFirst();
      if (taken !== undefined) return "begun";
      const there = await db
        .selectFrom("gate")
        .select("name")
        .where("name", "=", name)
        .executeTakeFirst();
      return there === undefined ? "open" : "closed";
    },
    async leaveProbe(by) {
      const { numUpdatedRows } = await db
        .updateTable("gate")
        .set(NOBODY)
        .where("probe", "=", by)
        .executeTakeFirstOrThrow();
      if (numUpdatedRows > 0n) wake();
    },
  };
}

function toGate(row: Tables["gate"], now: number): Gate {
  const isProbed = row.probe_until !== null && row.probe_until > now;
  return {
    name: row.name,
    reason: row.reason,
    attempt: row.attempt,
    since: row.since,
    retryAt: row.retry_at,
    isNamed: row.is_named === 1,
    probe: isProbed ? row.probe : null,
  };
}
