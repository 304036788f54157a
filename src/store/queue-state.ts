import { type Kysely, sql } from "kysely";
import type { PauseScope, WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { isFree } from "./leases.ts";
import { type Place, prepare } from "./prepare.ts";
import type { Tables } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** The part of the work store that says how full the queue is, what holds it, and when it goes on. */
export function createQueueState(
  context: StoreContext,
): Pick<WorkStore, "nextDue" | "waiting" | "pause" | "paused"> {
  const readPaused = createReadPaused(context.db);
  const findNextDue = createFindNextDue(context.db);
  return {
    async nextDue() {
      return await findNextDue(context.read, context.now());
    },
    async waiting() {
      const now = context.now();
      return context.db
        .transaction()
        .setAccessMode("read only")
        .execute(async (tx) => ({
          waiting: (await countUrgentMarks(tx)) + (await countWaitingItems(tx)),
          active: await countLeases(tx, now),
        }));
    },
    async pause(scope, on) {
      const row = { kind: scope.kind, name: scopeName(scope) };
      if (on) {
        await context.db
          .insertInto("pause")
          .values(row)
          .onConflict((conflict) => conflict.columns(["kind", "name"]).doNothing())
          .execute();
        return;
      }
      await context.db
        .deleteFrom("pause")
        .where((eb) => eb.and(row))
        .execute();
      context.wake();
    },
    async paused() {
      return await readPaused(context.read);
    },
  };
}

/** Makes the function that reads every pause that is in force. */
export function createReadPaused(
  db: Kysely<Tables>,
): (execute: Execute) => Promise<readonly PauseScope[]> {
  const find = prepare(db, () =>
    db.selectFrom("pause").selectAll().orderBy("kind").orderBy("name"),
  );
  return async (execute) => (await execute(find({}))).map(toScope);
}

function toScope({ kind, name }: Tables["pause"]): PauseScope {
  switch (kind) {
    case "all":
      return { kind };
    case "repo":
      return { kind, repo: name };
    case "agent":
      return { kind, agent: name };
  }
}

function scopeName(scope: PauseScope): string {
  switch (scope.kind) {
    case "all":
      return "";
    case "repo":
      return scope.repo.toLowerCase();
    case "agent":
      return scope.agent;
  }
}

/**
 * Makes the function that finds the earliest of: a lease runs out, a marked item may be looked at, an item
 * asked to be looked at.
 */
function createFindNextDue(
  db: Kysely<Tables>,
): (execute: Execute, now: number) => Promise<number | null> {
  const findLeased = prepare(db, () =>
    db
      .selectFrom("item")
      .select((eb) => eb.fn.min("lease_until").as("at"))
      .where("lease_until", "is not", null),
  );
  const findMarked = prepare(db, (place: Place<{ now: number }>) =>
    db
      .selectFrom("item")
      .select(sql<number | null>`min(coalesce(not_before, ${place("now")}))`.as("at"))
      .where((eb) => eb("item.mark", ">", eb.ref("item.settled")))
      .where(isFree),
  );
  const findTimed = prepare(db, () =>
    db
      .selectFrom("item")
      .select(
        sql<
          number | null
        >`min(case when not_before > look_again_at then not_before else look_again_at end)`.as(
          "at",
        ),
      )
      .where("look_again_at", "is not", null)
      .where(isFree),
  );
  return async (execute, now) => {
    const leased = await firstOf(execute(findLeased({})));
    const marked = await firstOf(execute(findMarked({ now })));
    const timed = await firstOf(execute(findTimed({})));
    const times = [leased, marked, timed]
      .map((row) => row?.at ?? null)
      .filter((at): at is number => at !== null);
    return times.length === 0 ? null : Math.min(...times);
  };
}

async function countUrgentMarks(tx: Executor): Promise<number> {
  const { count } = await tx
    .selectFrom("mark")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("urgent_seq", "is not", null)
    .executeTakeFirstOrThrow();
  return count;
}

async function countWaitingItems(tx: Executor): Promise<number> {
  const { count } = await tx
    .selectFrom("item")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where((eb) =>
      eb.or([
        eb.and([
          eb("item.mark", ">", eb.ref("item.settled")),
          eb("item.urgent_seq", "is not", null),
        ]),
        eb("item.order_seq", "is not", null),
      ]),
    )
    .executeTakeFirstOrThrow();
  return count;
}

async function countLeases(tx: Executor, now: number): Promise<number> {
  const { count } = await tx
    .selectFrom("item")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("lease_until", ">", now)
    .executeTakeFirstOrThrow();
  return count;
}
