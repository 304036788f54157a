import { sql } from "kysely";
import type { Outcome } from "../domain/ledger.ts";
import type { RunStore, Spent } from "../ports/store/runs.ts";
import type { Executor, Warn } from "./context.ts";
import { toRunView } from "./run-rows.ts";

/** Outcomes an operator reads as failed; asked, declined and cancelled are neither that nor a success. */
const FAILED: ReadonlySet<Outcome | null> = new Set(["failed", "timed_out", "stalled"]);

const DAY_MS = 86_400_000;

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

/** What all runs have used, by agent, by repository, and by the UTC day on which they ended (the newest `days` of them). */
export async function sumSpent(db: Executor, days: number): ReturnType<RunStore["spent"]> {
  const sums = sql`count(*) as runs, coalesce(sum(usd), 0.0) as usd,
    coalesce(sum(tokens_input), 0) as input, coalesce(sum(tokens_output), 0) as output,
    coalesce(sum(tokens_cache_read), 0) as cache_read,
    coalesce(sum(tokens_cache_write), 0) as cache_write`;
  const all = await sql<SpentColumns>`select ${sums} from run`.execute(db);
  const agents = await sql<SpentColumns & { agent: string }>`
    select agent, ${sums} from run group by agent order by agent`.execute(db);
  const repositories = await sql<SpentColumns & { repo: string }>`
    select repo, ${sums} from run group by repo order by repo`.execute(db);
  const byDay = await sql<SpentColumns & { day: number }>`
    select ended_at / ${sql.lit(DAY_MS)} as day, ${sums} from run
    where ended_at is not null group by day order by day desc limit ${days}`.execute(db);
  const [total] = all.rows;
  return {
    all: total === undefined ? NOTHING_SPENT : toSpent(total),
    agents: agents.rows.map((row) => ({ agent: row.agent, ...toSpent(row) })),
    repositories: repositories.rows.map((row) => ({ repo: row.repo, ...toSpent(row) })),
    days: byDay.rows.map((row) => ({ day: dateOf(row.day), ...toSpent(row) })),
  };
}

/** The date of a day that is counted from the beginning of 1970. */
function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, "2026-10-01".length);
}

interface SpentColumns {
  readonly runs: number;
  readonly usd: number;
  readonly input: number;
  readonly output: number;
  readonly cache_read: number;
  readonly cache_write: number;
}

const NOTHING_SPENT: Spent = {
  runs: 0,
  usd: 0,
  tokens: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
};

function toSpent(row: SpentColumns): Spent {
  const { runs, usd, input, output, cache_read: cacheRead, cache_write: cacheWrite } = row;
  return { runs, usd, tokens: { input, output, cacheRead, cacheWrite } };
}

/** What `owner` (or a version that did not say) has left: runs without an end, and those others have ended for it; oldest first. */
export async function listUnfinished(
  db: Executor,
  owner: string,
  warn: Warn,
): ReturnType<RunStore["unfinished"]> {
  const rows = await db
    .selectFrom("run")
    .selectAll()
    .where((eb) => eb.or([eb("ended_at", "is", null), eb("orphaned", "=", 1)]))
    .where((eb) => eb.or([eb("owner", "=", owner), eb("owner", "is", null)]))
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
