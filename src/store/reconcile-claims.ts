import { type ExpressionBuilder, type Selectable, sql } from "kysely";
import type { Claim, ReconcileResult } from "../ports/store/claims.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { StoreContext } from "./context.ts";
import { type ClaimKey, claimKey, isFree, isOf, NO_LEASE } from "./leases.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { createTakeSequence } from "./sequence.ts";
import type { ItemTable, Tables } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** The part of the work store that hands out items to look at and takes what came of it. */
export function createReconcileClaims(
  context: StoreContext,
): Pick<WorkStore, "claimReconcile" | "claimItem" | "release" | "settleReconcile"> {
  const mayBeDue = prepareMayBeDue(context);
  const takeDue = prepareTakeDue(context);
  const settle = createSettle(context);
  return {
    async claimReconcile(owner, leaseMs) {
      const now = context.now();
      // Mostly nothing is due, and a read tells that without a transaction. What is marked after it wakes the loop again.
      const answer = await firstOf(context.read(mayBeDue({ now })));
      if (!answer?.any) return null;
      const take = takeDue({ now, owner, until: now + leaseMs });
      const taken = await context.transactQueue((execute) => firstOf(execute(take)));
      if (taken === undefined) return null;
      const { repo, number, fence, mark, decision, reason } = taken;
      return { item: { repo, number }, owner, fence, mark, last: { decision, reason } };
    },
    async claimItem(item, owner, leaseMs) {
      const now = context.now();
      const claim = context.db
        .updateTable("item")
        .set((eb) => ({
          ...NO_LEASE,
          lease_kind: "reconcile" as const,
          lease_owner: owner,
          lease_until: now + leaseMs,
          fence: eb("fence", "+", 1),
        }))
        .where((eb) => eb.and({ repo: item.repo, number: item.number }))
        // A lease that ran out is freed first: what ran under it has to be ended.
        .where(isFree)
        .returning(["fence", "mark"]);
      // In a turn, although it is one statement: another claim may have read that the item is free and be
      // about to write by its id (ADR 0009).
      const held = await context.transactQueue((execute) => firstOf(execute(claim.compile())));
      if (held === undefined) return null;
      return { item: { repo: item.repo, number: item.number }, owner, ...held };
    },
    async release(claim) {
      const free = context.db
        .updateTable("item")
        .set(NO_LEASE)
        .where(isOf(claimKey(claim), "reconcile"));
      await context.writeQueue(free.compile());
      context.wake();
    },
    async settleReconcile(claim, result) {
      const written = await context.transactQueue((execute) => settle(execute, claim, result));
      if (written) context.wake();
      return written;
    },
  };
}

function prepareMayBeDue({ db }: StoreContext) {
  return prepare(db, (place: Place<{ now: number }>) => {
    const free = db.selectFrom("item").select("id").where(isFree).limit(1);
    const isTimed = free
      .where("look_again_at", "is not", null)
      .where("look_again_at", "<=", place("now"));
    return db.selectNoFrom((eb) =>
      eb.or([eb.exists(free.where(isMarked)), eb.exists(isTimed)]).as("any"),
    );
  });
}

/**
 * The statement that finds what to look at and gives it to `owner` until `until` (epoch ms): urgent marks
 * first, then whatever has been due the longest. Where nothing is due it changes nothing.
 */
export function prepareTakeDue({ db }: Pick<StoreContext, "db">) {
  const open = (now: number) =>
    db
      .selectFrom("item")
      .where(isFree)
      .where((eb) => eb.or([eb("not_before", "is", null), eb("not_before", "<=", now)]))
      .limit(1);
  const urgent = (now: number) =>
    open(now)
      .select("id")
      .where(isMarked)
      .where("urgent_seq", "is not", null)
      .orderBy("urgent_seq");
  // No time: the mark was taken by a lease that has run out, so it has waited the longest.
  const marked = (now: number) =>
    open(now)
      .select(["id", "marked_at as since", sql<number>`0`.as("rank")])
      .where(isMarked)
      .orderBy("marked_at", (order) => order.asc().nullsFirst())
      .orderBy("marked_seq");
  const timed = (now: number) =>
    open(now)
      .select(["id", "look_again_at as since", sql<number>`1`.as("rank")])
      .where("look_again_at", "is not", null)
      .where("look_again_at", "<=", now)
      .orderBy("look_again_at");
  // Each has its own order and limit, which in a compound only a subquery may have.
  const longest = (now: number) =>
    db
      .selectFrom((from) =>
        from
          .selectFrom(marked(now).as("marked"))
          .selectAll()
          .unionAll(from.selectFrom(timed(now).as("timed")).selectAll())
          .as("due"),
      )
      .select("id")
      .orderBy("since", (order) => order.asc().nullsFirst())
      // A mark goes before a time of the same moment.
      .orderBy("rank")
      .limit(1);
  return prepare(db, (place: Place<{ now: number; owner: string; until: number }>) =>
    db
      .updateTable("item")
      .set((eb) => ({
        ...NO_LEASE,
        lease_kind: "reconcile",
        lease_owner: place("owner"),
        lease_until: place("until"),
        fence: eb("fence", "+", 1),
        marked_seq: null,
        marked_at: null,
        urgent_seq: null,
      }))
      .where("id", "=", (eb) => eb.fn.coalesce(urgent(place("now")), longest(place("now"))))
      // Asked once more: on PostgreSQL somebody who takes no turn may have been waited for at the row.
      .where(isFree)
      .returning(["repo", "number", "fence", "mark", "decision", "reason"]),
  );
}

/** Written as in the partial indexes, so that they are used. */
function isMarked(eb: ExpressionBuilder<Tables, "item">) {
  return eb("item.mark", ">", eb.ref("item.settled"));
}

/** The columns that a settled look writes into its item. */
const SETTLED = [
  "settled",
  "decision",
  "reason",
  "state",
  "look_again_at",
  "pull",
  "parks_json",
  "order_json",
  "order_agent",
  "order_fingerprint",
  "order_seq",
] as const;

type SettledItem = Pick<Selectable<ItemTable>, "id" | (typeof SETTLED)[number]>;

/** Makes the function that takes what came of a look; it resolves with false where the claim is no more. */
function createSettle({
  db,
}: StoreContext): (execute: Execute, claim: Claim, result: ReconcileResult) => Promise<boolean> {
  const findHeld = prepare(db, (place: Place<ClaimKey>) =>
    db
      .selectFrom("item")
      .select(["id", "settled", "pull", "order_fingerprint", "order_seq"])
      .where(isOf(place, "reconcile")),
  );
  const update = prepare(db, (place: Place<SettledItem>) =>
    db
      .updateTable("item")
      .set({ ...NO_LEASE, ...places(place, SETTLED), not_before: null })
      .where("id", "=", place("id")),
  );
  const writeSnapshot = prepare(db, (place: Place<Tables["snapshot"]>) =>
    db
      .insertInto("snapshot")
      .values(places(place, ["repo", "number", "snapshot_json"]))
      .onConflict((conflict) =>
        conflict
          .columns(["repo", "number"])
          .doUpdateSet((eb) => ({ snapshot_json: eb.ref("excluded.snapshot_json") })),
      ),
  );
  const orderColumns = createOrderColumns({ db });

  return async (execute, claim, result) => {
    const held = await firstOf(execute(findHeld(claimKey(claim))));
    if (held === undefined) return false;
    await execute(
      update({
        id: held.id,
        settled: Math.max(held.settled, claim.mark),
        decision: result.decision,
        reason: result.reason,
        state: result.state,
        look_again_at: result.lookAgainAt,
        pull: result.pull ?? held.pull,
        parks_json: JSON.stringify(result.parks),
        ...(await orderColumns(execute, held, result)),
      }),
    );
    const { repo, number } = claim.item;
    const { snapshot } = result;
    if (snapshot !== null) {
      await execute(writeSnapshot({ repo, number, snapshot_json: JSON.stringify(snapshot) }));
    }
    return true;
  };
}

/** The same order keeps its place among those that wait; another one goes to the end. */
function createOrderColumns({ db }: Pick<StoreContext, "db">) {
  const takeSequence = createTakeSequence(db);
  return async (
    execute: Execute,
    held: Pick<ItemTable, "order_fingerprint" | "order_seq">,
    { order }: ReconcileResult,
  ) => {
    if (order === null) {
      return { order_json: null, order_agent: null, order_fingerprint: null, order_seq: null };
    }
    const isSame = held.order_fingerprint === order.fingerprint;
    return {
      order_json: JSON.stringify(order),
      order_agent: order.agent,
      order_fingerprint: order.fingerprint,
      order_seq: (isSame ? held.order_seq : null) ?? (await takeSequence(execute, 1)),
    };
  };
}
