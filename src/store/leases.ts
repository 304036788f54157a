import type { ExpressionBuilder } from "kysely";
import type { Claim, WorkStore } from "../ports/store.ts";
import type { Executor, StoreContext } from "./context.ts";
import { markItems } from "./mark-items.ts";
import { nextSequence } from "./sequence.ts";
import type { ItemTable, Tables } from "./tables.ts";

type LeaseKind = NonNullable<ItemTable["lease_kind"]>;

/** The columns of a lease that nobody holds; the fence stays, so that it only ever rises. */
export const NO_LEASE = {
  lease_kind: null,
  lease_owner: null,
  lease_until: null,
  lease_agent: null,
} as const;

/** True of items without a lease that still runs. */
export function isFree(now: number) {
  return (eb: ExpressionBuilder<Tables, "item">) =>
    eb.or([eb("item.lease_until", "is", null), eb("item.lease_until", "<=", now)]);
}

/** True of the item whose lease `claim` names; it may have run out, but nobody has taken or freed it. */
export function isOf(claim: Claim, kind: LeaseKind | null) {
  return (eb: ExpressionBuilder<Tables, "item">) =>
    eb.and([
      eb("item.repo", "=", claim.item.repo),
      eb("item.number", "=", claim.item.number),
      eb("item.lease_owner", "=", claim.owner),
      eb("item.fence", "=", claim.fence),
      ...(kind === null ? [] : [eb("item.lease_kind", "=", kind)]),
    ]);
}

/** Whether the run lease of `claim` still runs. */
export async function holdsRun(tx: Executor, claim: Claim, now: number): Promise<boolean> {
  const row = await tx
    .selectFrom("item")
    .select("id")
    .where(isOf(claim, "run"))
    .where("lease_until", ">", now)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * The part of the work store that renews and frees leases. A lease that has run out is never
 * revived, even when nobody took it: its slot may have been given to another run.
 */
export function createLeases(context: StoreContext): Pick<WorkStore, "heartbeat" | "reap"> {
  return {
    async heartbeat(claim, leaseMs) {
      const now = context.now();
      const renewed = await context.db
        .updateTable("item")
        .set({ lease_until: now + leaseMs })
        .where(isOf(claim, null))
        .where("lease_until", ">", now)
        .returning("mark")
        .executeTakeFirst();
      if (renewed !== undefined) return { held: true, mark: renewed.mark };
      const item = await context.db
        .selectFrom("item")
        .select("mark")
        .where("repo", "=", claim.item.repo)
        .where("number", "=", claim.item.number)
        .executeTakeFirst();
      return { held: false, mark: item?.mark ?? claim.mark };
    },
    async reap(owner) {
      const now = context.now();
      const freed = await context.db.transaction().execute((tx) => reapLeases(tx, owner, now));
      if (freed > 0) context.wake();
      return freed;
    },
  };
}

async function reapLeases(tx: Executor, owner: string | null, now: number): Promise<number> {
  const isOver = (eb: ExpressionBuilder<Tables, "item">) =>
    eb.or([
      eb("lease_until", "<=", now),
      ...(owner === null ? [] : [eb("lease_owner", "=", owner)]),
    ]);
  const over = await tx
    .selectFrom("item")
    .select(["repo", "number", "lease_kind"])
    .where("lease_until", "is not", null)
    .where(isOver)
    .orderBy("lease_until")
    .execute();
  if (over.length === 0) return 0;
  await tx
    .updateTable("item")
    .set(NO_LEASE)
    .where("lease_until", "is not", null)
    .where(isOver)
    .execute();
  // What a cut-off reconcile would have settled is still marked; a cut-off run leaves no mark.
  const runs = over.filter((item) => item.lease_kind === "run");
  for (const { repo, number } of runs) {
    await tx
      .updateTable("item")
      .set({ state: "waiting" })
      .where("repo", "=", repo)
      .where("number", "=", number)
      .execute();
  }
  if (runs.length > 0) {
    await markItems(tx, runs, { seq: await nextSequence(tx), urgent: true, at: now });
  }
  return over.length;
}
