import type { Kysely } from "kysely";
import type { Spending } from "../domain/budget.ts";
import type { Ledger } from "../domain/ledger.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { PauseScope } from "../ports/store/work.ts";
import type { StoreContext } from "./context.ts";
import { toEffect } from "./effects.ts";
import { createReadHold } from "./holds.ts";
import { parksOf } from "./parks.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { createReadPaused } from "./queue-state.ts";
import { toRunRecord } from "./run-rows.ts";
import type { Tables } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** Of runs, effects and pushes the newest so many are read; an item with more has long been parked. */
const ROWS_MAX = 500;

const DAY_MS = 86_400_000;

/** The columns that name an item. */
const ITEM = ["repo", "number"] as const;

/**
 * Makes the function that reads the ledger of one item inside one transaction; `now` (epoch ms) says
 * which UTC day is today.
 */
export function createReadLedger({
  db,
  warn,
}: StoreContext): (execute: Execute, item: ItemRef, now: number) => Promise<Ledger> {
  const findRuns = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("run")
      .selectAll()
      .where((eb) => eb.and(places(place, ITEM)))
      .orderBy("seq", "desc")
      .limit(ROWS_MAX),
  );
  const findEffects = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("effect")
      .selectAll()
      .where((eb) => eb.and(places(place, ITEM)))
      .orderBy("id", "desc")
      .limit(ROWS_MAX),
  );
  const findItem = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("item")
      .select(["parks_json", "continued_after"])
      .where((eb) => eb.and(places(place, ITEM))),
  );
  const readTraces = createReadTraces(db);
  const readLocal = createReadLocal(db);
  const readSpentToday = createReadSpentToday(db);
  const readPaused = createReadPaused(db);
  const readHold = createReadHold(db);

  return async (execute, { repo, number }, now) => {
    const item = { repo, number };
    const runs = await execute(findRuns(item));
    const effects = await execute(findEffects(item));
    const row = await firstOf(execute(findItem(item)));
    const { branches, pushed, ...costs } =
      runs.length === 0 ? NO_TRACES : await readTraces(execute, item);
    const { hasTaintedSession, ...local } = await readLocal(execute, item);
    return {
      runs: runs.toReversed().map((run) => toRunRecord(run, warn)),
      parks: row === undefined ? [] : parksOf(row.parks_json, item, warn),
      effects: effects.toReversed().map(toEffect),
      leftovers: { ...local, branches },
      pushed,
      // Runs keep the taint of sessions that are gone.
      tainted: costs.hasTaintedRun || hasTaintedSession,
      usdItem: costs.usdItem,
      ...(await readSpentToday(execute, now)),
      paused: pausedFor(await readPaused(execute), item),
      hold: await readHold(execute, item),
      continuedAfter: row?.continued_after ?? null,
    };
  };
}

/** What the runs of an item have left behind: branches, pushes, costs, taint. */
interface Traces {
  readonly branches: readonly string[];
  readonly pushed: readonly string[];
  readonly usdItem: number;
  readonly hasTaintedRun: boolean;
}

/**
 * Of an item without runs, as it mostly is when it is looked at for the first time. Pushes and branches are
 * written under a run only (`RunStore.pushed`), and no row of a run is ever deleted.
 */
const NO_TRACES: Traces = { branches: [], pushed: [], usdItem: 0, hasTaintedRun: false };

function createReadTraces(
  db: Kysely<Tables>,
): (execute: Execute, item: ItemRef) => Promise<Traces> {
  const findBranches = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("branch")
      .select("branch")
      .where((eb) => eb.and(places(place, ITEM)))
      .where("tried", "=", 0)
      .orderBy("branch"),
  );
  const findPushes = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("push")
      .select("sha")
      .where((eb) => eb.and(places(place, ITEM)))
      .orderBy("seq", "desc")
      .limit(ROWS_MAX),
  );
  const readCosts = createReadCosts(db);
  return async (execute, item) => {
    const branches = await execute(findBranches(item));
    const pushes = await execute(findPushes(item));
    return {
      branches: branches.map(({ branch }) => branch),
      pushed: [...new Set(pushes.toReversed().map(({ sha }) => sha))],
      ...(await readCosts(execute, item)),
    };
  };
}

/** What of an item lies with the service: how many sessions and clones. */
interface Local {
  readonly sessions: number;
  readonly clones: number;
  readonly hasTaintedSession: boolean;
}

function createReadLocal(db: Kysely<Tables>): (execute: Execute, item: ItemRef) => Promise<Local> {
  const findSessions = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("session")
      .select("tainted")
      .where((eb) => eb.and(places(place, ITEM))),
  );
  const findClones = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("clone")
      .select("agent")
      .where((eb) => eb.and(places(place, ITEM))),
  );
  return async (execute, item) => {
    // Of both a row an agent at most.
    const sessions = await execute(findSessions(item));
    const clones = await execute(findClones(item));
    return {
      sessions: sessions.length,
      clones: clones.length,
      hasTaintedSession: sessions.some(({ tainted }) => tainted === 1),
    };
  };
}

/**
 * Makes the function that reads what an item has cost by now (US dollars), living runs included, and whether a
 * run of it was tainted.
 */
export function createReadCosts(
  db: Kysely<Tables>,
): (execute: Execute, item: ItemRef) => Promise<Pick<Traces, "usdItem" | "hasTaintedRun">> {
  const sum = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("run")
      .select((eb) => [
        eb.fn.sum<number | null>("usd").as("usd"),
        eb.fn.max<number | null>("tainted").as("tainted"),
      ])
      .where((eb) => eb.and(places(place, ITEM))),
  );
  return async (execute, { repo, number }) => {
    const row = await firstOf(execute(sum({ repo, number })));
    return { usdItem: row?.usd ?? 0, hasTaintedRun: row?.tainted === 1 };
  };
}

/** Makes the function that reads what the UTC day of `now` (epoch ms) has cost by now. */
export function createReadSpentToday(
  db: Kysely<Tables>,
): (execute: Execute, now: number) => Promise<Pick<Spending, "usdToday" | "tokensToday">> {
  // Of all runs that ended at or after `since` or are alive.
  const sum = prepare(db, (place: Place<{ since: number }>) =>
    db
      .selectFrom("run")
      .select((eb) => [
        eb.fn.sum<number | null>("usd").as("usd"),
        eb.fn.sum<number | null>("tokens_input").as("input"),
        eb.fn.sum<number | null>("tokens_output").as("output"),
        eb.fn.sum<number | null>("tokens_cache_read").as("read"),
        eb.fn.sum<number | null>("tokens_cache_write").as("write"),
      ])
      .where((eb) => eb.or([eb("ended_at", ">=", place("since")), eb("ended_at", "is", null)])),
  );
  return async (execute, now) => {
    const row = await firstOf(execute(sum({ since: now - (now % DAY_MS) })));
    const tokens = [row?.input, row?.output, row?.read, row?.write];
    return {
      usdToday: row?.usd ?? 0,
      tokensToday: tokens.reduce<number>((sum, part) => sum + Number(part ?? 0), 0),
    };
  };
}

function pausedFor(scopes: readonly PauseScope[], item: ItemRef): Ledger["paused"] {
  return {
    all: scopes.some(
      (scope) => scope.kind === "all" || (scope.kind === "repo" && scope.repo === item.repo),
    ),
    agents: scopes.flatMap((scope) => (scope.kind === "agent" ? [scope.agent] : [])),
  };
}
