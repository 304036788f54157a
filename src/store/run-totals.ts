import type { Outcome } from "../domain/ledger.ts";
import type { RunStore } from "../ports/store.ts";
import type { Executor, Warn } from "./context.ts";
import { toRunView } from "./run-rows.ts";

/** Outcomes an operator reads as failed; asked, declined and cancelled are neither that nor a success. */
const FAILED: ReadonlySet<Outcome | null> = new Set(["failed", "timed_out", "stalled"]);

/** How many runs there have been since the database was made, by how they ended. */
export async function countRuns(db: Executor): ReturnType<RunStore["totals"]> {
  const rows = await db
    .selectFrom("run")
    .select((eb) => ["outcome", eb.fn.countAll<number>().as("count")])
    .groupBy("outcome")
    .execute();
  const sum = (holds: (outcome: Outcome | null) => boolean) =>
    rows.reduce((total, row) => (holds(row.outcome) ? total + row.count : total), 0);
  return {
    started: sum(() => true),
    succeeded: sum((outcome) => outcome === "succeeded"),
    failed: sum((outcome) => FAILED.has(outcome)),
    parked: sum((outcome) => outcome === "parked"),
    active: sum((outcome) => outcome === null),
  };
}

/** Runs without an end, oldest first. */
export async function listUnfinished(db: Executor, warn: Warn): ReturnType<RunStore["unfinished"]> {
  const rows = await db
    .selectFrom("run")
    .selectAll()
    .where("ended_at", "is", null)
    .orderBy("seq")
    .execute();
  return rows.map((row) => ({
    run: toRunView(row, warn),
    process:
      row.pid === null || row.start_ticks === null || row.boot_id === null
        ? null
        : { pid: row.pid, startTicks: row.start_ticks, bootId: row.boot_id },
  }));
}
