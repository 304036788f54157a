import { type ExpressionBuilder, sql } from "kysely";
import type { Claim, ReconcileResult } from "../ports/store/claims.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { isFree, isOf, NO_LEASE } from "./leases.ts";
import { nextSequence } from "./sequence.ts";
import type { Tables } from "./tables.ts";

/** What a claim reads of its item; `since` is the moment from which the item has been due. */
interface DueItem {
  readonly id: number;
  readonly repo: string;
  readonly number: number;
  readonly mark: number;
  readonly fence: number;
  readonly since: number | null;
}

/** The part of the work store that hands out items to look at and takes what came of it. */
export function createReconcileClaims(
  context: StoreContext,
): Pick<WorkStore, "claimReconcile" | "claimItem" | "release" | "settleReconcile"> {
  return {
    async claimReconcile(owner, leaseMs) {
      const now = context.now();
      if (!(await mayBeDue(context.db, now))) return null;
      return context.transactQueue(async (tx) => {
        const due = await findDue(tx, now);
        return due === null ? null : await lease(tx, due, { owner, until: now + leaseMs });
      });
    },
    async claimItem(item, owner, leaseMs) {
      const now = context.now();
      // One statement: of several who want it one gets it, whatever the engine.
      const held = await context.db
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
        .where("lease_until", "is", null)
        .returning(["fence", "mark"])
        .executeTakeFirst();
      if (held === undefined) return null;
      return { item: { repo: item.repo, number: item.number }, owner, ...held };
    },
    async release(claim) {
      await context.db.updateTable("item").set(NO_LEASE).where(isOf(claim, "reconcile")).execute();
      context.wake();
    },
    async settleReconcile(claim, result) {
      const written = await context.transactQueue((tx) => settle(tx, claim, result));
      if (written) context.wake();
      return written;
    },
  };
}

/** Mostly nothing is due, and a read tells that without a transaction. What is marked after it wakes the loop again. */
async function mayBeDue(db: Executor, now: number): Promise<boolean> {
  const free = db.selectFrom("item").select("id").where(isFree).limit(1);
  const { any } = await db
    .selectNoFrom((eb) =>
      eb
        .or([
          eb.exists(free.where(isMarked)),
          eb.exists(free.where("look_again_at", "is not", null).where("look_again_at", "<=", now)),
        ])
        .as("any"),
    )
    .executeTakeFirstOrThrow();
  return Boolean(any);
}

/** Urgent marks first, then whatever has been due the longest. */
async function findDue(tx: Executor, now: number): Promise<DueItem | null> {
  const urgent = await openItems(tx, now)
    .select("marked_at as since")
    .where(isMarked)
    .where("urgent_seq", "is not", null)
    .orderBy("urgent_seq")
    .executeTakeFirst();
  if (urgent !== undefined) return urgent;

  // No time: the mark was taken by a lease that has run out, so it has waited the longest.
  const marked = await openItems(tx, now)
    .select("marked_at as since")
    .where(isMarked)
    .orderBy("marked_at", (order) => order.asc().nullsFirst())
    .orderBy("marked_seq")
    .executeTakeFirst();
  const timed = await openItems(tx, now)
    .select("look_again_at as since")
    .where("look_again_at", "is not", null)
    .where("look_again_at", "<=", now)
    .orderBy("look_again_at")
    .executeTakeFirst();
  if (marked === undefined || timed === undefined) return marked ?? timed ?? null;
  return (timed.since ?? 0) < (marked.since ?? 0) ? timed : marked;
}

function openItems(tx: Executor, now: number) {
  return tx
    .selectFrom("item")
    .select(["id", "repo", "number", "mark", "fence"])
    .where(isFree)
    .where((eb) => eb.or([eb("not_before", "is", null), eb("not_before", "<=", now)]))
    .limit(1);
}

/** Written as in the partial indexes, so that they are used. */
function isMarked(eb: ExpressionBuilder<Tables, "item">) {
  return eb("item.mark", ">", eb.ref("item.settled"));
}

async function lease(
  tx: Executor,
  due: DueItem,
  holder: { readonly owner: string; readonly until: number },
): Promise<Claim> {
  const fence = due.fence + 1;
  await tx
    .updateTable("item")
    .set({
      ...NO_LEASE,
      lease_kind: "reconcile",
      lease_owner: holder.owner,
      lease_until: holder.until,
      fence,
      marked_seq: null,
      marked_at: null,
      urgent_seq: null,
    })
    .where("id", "=", due.id)
    .execute();
  const item = { repo: due.repo, number: due.number };
  return { item, owner: holder.owner, fence, mark: due.mark };
}

async function settle(tx: Executor, claim: Claim, result: ReconcileResult): Promise<boolean> {
  const held = await tx
    .selectFrom("item")
    .select(["id", "settled", "pull", "order_fingerprint", "order_seq"])
    .where(isOf(claim, "reconcile"))
    .executeTakeFirst();
  if (held === undefined) return false;
  await tx
    .updateTable("item")
    .set({
      ...NO_LEASE,
      settled: Math.max(held.settled, claim.mark),
      decision: result.decision,
      reason: result.reason,
      state: result.state,
      look_again_at: result.lookAgainAt,
      not_before: null,
      pull: result.pull ?? held.pull,
      parks_json: JSON.stringify(result.parks),
      ...(await orderColumns(tx, held, result)),
    })
    .where("id", "=", held.id)
    .execute();
  if (result.snapshot !== null) await writeSnapshot(tx, claim, JSON.stringify(result.snapshot));
  return true;
}

/** The same order keeps its place among those that wait; another one goes to the end. */
async function orderColumns(
  tx: Executor,
  held: { readonly order_fingerprint: string | null; readonly order_seq: number | null },
  { order }: ReconcileResult,
) {
  if (order === null) {
    return { order_json: null, order_agent: null, order_fingerprint: null, order_seq: null };
  }
  const isSame = held.order_fingerprint === order.fingerprint;
  return {
    order_json: JSON.stringify(order),
    order_agent: order.agent,
    order_fingerprint: order.fingerprint,
    order_seq: (isSame ? held.order_seq : null) ?? (await nextSequence(tx)),
  };
}

async function writeSnapshot(tx: Executor, claim: Claim, text: string): Promise<void> {
  const { repo, number } = claim.item;
  await tx
    .insertInto("snapshot")
    .values({ repo, number, snapshot_json: text })
    .onConflict((conflict) =>
      conflict
        .columns(["repo", "number"])
        .doUpdateSet({ snapshot_json: sql.ref("excluded.snapshot_json") }),
    )
    .execute();
}
