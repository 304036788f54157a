import type { Spending } from "../domain/budget.ts";
import type { Ledger } from "../domain/ledger.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { Executor, Warn } from "./context.ts";
import { toEffect } from "./effects.ts";
import { readContinuedAfter, readHold } from "./holds.ts";
import { readParks } from "./parks.ts";
import { readPaused } from "./queue-state.ts";
import { toRunRecord } from "./run-rows.ts";

/** Of runs, effects and pushes the newest so many are read; an item with more has long been parked. */
const ROWS_MAX = 500;

const DAY_MS = 86_400_000;

/** The ledger of one item, read inside one transaction; `now` (epoch ms) says which UTC day is today. */
export async function readLedger(
  tx: Executor,
  item: ItemRef,
  context: { readonly now: number; readonly warn: Warn },
): Promise<Ledger> {
  const place = { repo: item.repo, number: item.number };
  const runs = await tx
    .selectFrom("run")
    .selectAll()
    .where((eb) => eb.and(place))
    .orderBy("seq", "desc")
    .limit(ROWS_MAX)
    .execute();
  const effects = await tx
    .selectFrom("effect")
    .selectAll()
    .where((eb) => eb.and(place))
    .orderBy("id", "desc")
    .limit(ROWS_MAX)
    .execute();
  return {
    runs: runs.reverse().map((row) => toRunRecord(row, context.warn)),
    parks: await readParks(tx, item, context.warn),
    effects: effects.reverse().map(toEffect),
    leftovers: await readLeftovers(tx, item),
    pushed: await readPushed(tx, item),
    tainted: (await isTainted(tx, "run", item)) || (await isTainted(tx, "session", item)),
    ...(await readSpending(tx, item, context.now)),
    paused: await readPausedFor(tx, item),
    hold: await readHold(tx, item),
    continuedAfter: await readContinuedAfter(tx, item),
  };
}

async function readLeftovers(tx: Executor, item: ItemRef): Promise<Ledger["leftovers"]> {
  const branches = await tx
    .selectFrom("branch")
    .select("branch")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .where("tried", "=", 0)
    .orderBy("branch")
    .execute();
  return {
    sessions: await countOf(tx, "session", item),
    clones: await countOf(tx, "clone", item),
    branches: branches.map((row) => row.branch),
  };
}

async function countOf(tx: Executor, table: "session" | "clone", item: ItemRef): Promise<number> {
  const { count } = await tx
    .selectFrom(table)
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .executeTakeFirstOrThrow();
  return count;
}

async function readPushed(tx: Executor, item: ItemRef): Promise<readonly string[]> {
  const rows = await tx
    .selectFrom("push")
    .select("sha")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .orderBy("seq", "desc")
    .limit(ROWS_MAX)
    .execute();
  return [...new Set(rows.reverse().map((row) => row.sha))];
}

/** Runs keep the taint of sessions that are gone. */
async function isTainted(tx: Executor, table: "run" | "session", item: ItemRef): Promise<boolean> {
  const row = await tx
    .selectFrom(table)
    .select("tainted")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .where("tainted", "=", 1)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** What the item and the day (UTC) of `now` (epoch ms) have cost by now. */
export async function readSpending(tx: Executor, item: ItemRef, now: number): Promise<Spending> {
  return { usdItem: await usdOfItem(tx, item), ...(await spentSince(tx, now - (now % DAY_MS))) };
}

/** US dollars of the runs of one item, living ones included. */
async function usdOfItem(tx: Executor, { repo, number }: ItemRef): Promise<number> {
  const { usd } = await tx
    .selectFrom("run")
    .select((eb) => eb.fn.sum<number | null>("usd").as("usd"))
    .where("repo", "=", repo)
    .where("number", "=", number)
    .executeTakeFirstOrThrow();
  return usd ?? 0;
}

/** What all runs have used that ended at or after `since` (epoch ms) or are alive. */
async function spentSince(
  tx: Executor,
  since: number,
): Promise<Pick<Spending, "usdToday" | "tokensToday">> {
  const { usd, input, output, read, write } = await tx
    .selectFrom("run")
    .select((eb) => [
      eb.fn.sum<number | null>("usd").as("usd"),
      eb.fn.sum<number | null>("tokens_input").as("input"),
      eb.fn.sum<number | null>("tokens_output").as("output"),
      eb.fn.sum<number | null>("tokens_cache_read").as("read"),
      eb.fn.sum<number | null>("tokens_cache_write").as("write"),
    ])
    .where((eb) => eb.or([eb("ended_at", ">=", since), eb("ended_at", "is", null)]))
    .executeTakeFirstOrThrow();
  const tokens = [input, output, read, write].reduce<number>(
    (sum, part) => sum + Number(part ?? 0),
    0,
  );
  return { usdToday: usd ?? 0, tokensToday: tokens };
}

async function readPausedFor(tx: Executor, item: ItemRef): Promise<Ledger["paused"]> {
  const scopes = await readPaused(tx);
  return {
    all: scopes.some(
      (scope) => scope.kind === "all" || (scope.kind === "repo" && scope.repo === item.repo),
    ),
    agents: scopes.flatMap((scope) => (scope.kind === "agent" ? [scope.agent] : [])),
  };
}
