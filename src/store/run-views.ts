import type { RunStore } from "../ports/store/runs.ts";
import { pageCursor, pageLimit, pageOf, type StoreContext } from "./context.ts";
import { readJson, seenSchema } from "./json-columns.ts";
import { toRunView } from "./run-rows.ts";
import { countRuns } from "./run-totals.ts";

/** The part of the run store that reads what ended or goes on: runs one by one, and how many there were. */
export function createRunViews({
  db,
  warn,
}: StoreContext): Pick<RunStore, "list" | "get" | "seen" | "totals"> {
  return {
    async list(limit, before) {
      const count = pageLimit(limit);
      const rows = await db
        .selectFrom("run")
        .selectAll()
        .where("seq", "<", pageCursor(before))
        .orderBy("seq", "desc")
        .limit(count + 1)
        .execute();
      return pageOf(rows, count, {
        cursor: (row) => row.seq,
        value: (row) => toRunView(row, warn),
      });
    },
    async get(id) {
      const row = await db.selectFrom("run").selectAll().where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : toRunView(row, warn);
    },
    async seen(id) {
      const row = await db
        .selectFrom("run_seen")
        .select("seen_json")
        .where("run", "=", id)
        .executeTakeFirst();
      const where = `run_seen ${id}`;
      return row === undefined ? null : readJson(row.seen_json, seenSchema, { warn, where });
    },
    async totals() {
      return countRuns(db);
    },
  };
}
