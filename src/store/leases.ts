import type { ExpressionBuilder } from "kysely";
import { outcomeOnRecord } from "../domain/outcome-on-record.ts";
import type { Skill } from "../domain/skill.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { Claim } from "../ports/store/claims.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { markItems } from "./mark-items.ts";
import { nextSequence } from "./sequence.ts";
import type { ItemTable, Tables } from "./tables.ts";

/** Why a run ended whose worker was not heard of any more. */
const ABANDONED = "its worker was not heard of until the lease ran out";

type LeaseKind = NonNullable<ItemTable["lease_kind"]>;

/** The columns of a lease that nobody holds; the fence stays, so that it only ever rises. */
export const NO_LEASE = {
  lease_kind: null,
  lease_owner: null,
  lease_until: null,
  lease_agent: null,
} as const;

/** True of items without a lease. One that ran out is freed first (`reap`): what ran under it has to be ended. */
export function isFree(eb: ExpressionBuilder<Tables, "item">) {
  return eb("item.lease_until", "is", null);
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
export function createLeases(
  context: StoreContext,
): Pick<WorkStore, "heartbeat" | "leaseState" | "reap"> {
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
      return renewed === undefined
        ? { held: false, mark: await markOf(context.db, claim) }
        : { held: true, mark: renewed.mark };
    },
    async leaseState(claim) {
      const running = await context.db
        .selectFrom("item")
        .select("mark")
        .where(isOf(claim, null))
        .where("lease_until", ">", context.now())
        .executeTakeFirst();
      return running === undefined
        ? { held: false, mark: await markOf(context.db, claim) }
        : { held: true, mark: running.mark };
    },
    async reap(owner) {
      const now = context.now();
      const freed = await context.transact((tx) => reapLeases(tx, owner, now));
      if (freed > 0) context.wake();
      return freed;
    },
  };
}

async function markOf(db: Executor, { item, mark }: Claim): Promise<number> {
  const row = await db
    .selectFrom("item")
    .select("mark")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .executeTakeFirst();
  return row?.mark ?? mark;
}

async function reapLeases(tx: Executor, owner: string | null, now: number): Promise<number> {
  const isOver = (eb: ExpressionBuilder<Tables, "item">) =>
    eb.or([
      eb("lease_until", "<=", now),
      ...(owner === null ? [] : [eb("lease_owner", "=", owner)]),
    ]);
  const found = await tx
    .selectFrom("item")
    .select(["id", "repo", "number", "lease_kind", "lease_owner", "lease_until"])
    .where("lease_until", "is not", null)
    .where(isOver)
    .orderBy("lease_until")
    .execute();
  if (found.length === 0) return 0;
  const freed = await tx
    .updateTable("item")
    .set(NO_LEASE)
    .where("lease_until", "is not", null)
    .where(isOver)
    .returning("id")
    .execute();
  // A renewal does not take turns: what was renewed between the two statements is held, and its run goes on.
  const free = new Set(freed.map(({ id }) => id));
  const over = found.filter(({ id }) => free.has(id));
  // What a cut-off reconcile would have settled is still marked; a cut-off run leaves no mark.
  const runs = over.filter((item) => item.lease_kind === "run");
  for (const { repo, number, lease_owner, lease_until } of runs) {
    await tx
      .updateTable("item")
      .set({ state: "waiting" })
      .where("repo", "=", repo)
      .where("number", "=", number)
      .execute();
    // Of its own lease a process that starts knows more: it ends the run after the process behind it.
    if ((lease_until ?? 0) <= now)
      await endAbandoned(tx, { repo, number, owner: lease_owner, now });
  }
  if (runs.length > 0) {
    await markItems(tx, runs, { seq: await nextSequence(tx), urgent: true, at: now });
  }
  return over.length;
}

/**
 * Ends the run that was made under a lease which has run out: as what its recorded effects make of
 * it, else as cancelled. What it has cost goes to its session.
 */
async function endAbandoned(
  tx: Executor,
  of: {
    readonly repo: string;
    readonly number: number;
    readonly owner: string | null;
    readonly now: number;
  },
): Promise<void> {
  const ended = await tx
    .updateTable("run")
    .set({ ended_at: of.now, outcome: "cancelled", reason: ABANDONED, orphaned: 1 })
    .where("repo", "=", of.repo)
    .where("number", "=", of.number)
    .where("owner", "=", of.owner)
    .where("ended_at", "is", null)
    .returning(["id", "skill", "fingerprint", "session_key", "session", "usd"])
    .execute();
  for (const { session_key: key, session, usd, ...run } of ended) {
    const outcome = await outcomeOf(tx, of, run);
    if (outcome !== null) {
      await tx.updateTable("run").set({ outcome }).where("id", "=", run.id).execute();
    }
    await tx
      .updateTable("session")
      .set((eb) => ({ usd_total: eb("usd_total", "+", usd) }))
      .where("key", "=", key)
      .where("session_id", "=", session)
      .execute();
  }
}

async function outcomeOf(
  tx: Executor,
  { repo, number }: ItemRef,
  run: { readonly skill: Skill; readonly fingerprint: string },
): Promise<ReturnType<typeof outcomeOnRecord>> {
  const effects = await tx
    .selectFrom("effect")
    .select(["key", "tool", "state"])
    .where("repo", "=", repo)
    .where("number", "=", number)
    .execute();
  const prefix = `${repo}#${number}|${run.fingerprint}|`;
  return outcomeOnRecord(
    run.skill,
    effects.filter(({ key }) => key.startsWith(prefix)),
  );
}
