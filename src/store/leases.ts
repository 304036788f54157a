import type { ExpressionBuilder, Kysely } from "kysely";
import { outcomeOnRecord } from "../domain/outcome-on-record.ts";
import type { Skill } from "../domain/skill.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { Claim, LeaseState } from "../ports/store/claims.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { createMarkItems } from "./mark-items.ts";
import { type Place, prepare } from "./prepare.ts";
import { createTakeSequence } from "./sequence.ts";
import type { ItemTable, Tables } from "./tables.ts";
import { type Execute, executeIn, firstOf } from "./transact.ts";

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

/** By what a claim is told from every other. */
export interface ClaimKey {
  readonly repo: string;
  readonly number: number;
  readonly owner: string;
  readonly fence: number;
}

/** The key of a claim. */
export function claimKey({ item, owner, fence }: Claim): ClaimKey {
  return { repo: item.repo, number: item.number, owner, fence };
}

/**
 * True of the item whose lease a claim names; it may have run out, but nobody has taken or freed it.
 * `of` is the claim's key, or the places of a prepared query.
 */
export function isOf(of: ClaimKey | Place<ClaimKey>, kind: LeaseKind | null) {
  const place: Place<ClaimKey> = typeof of === "function" ? of : (name) => of[name];
  return (eb: ExpressionBuilder<Tables, "item">) =>
    eb.and([
      eb("item.repo", "=", place("repo")),
      eb("item.number", "=", place("number")),
      eb("item.lease_owner", "=", place("owner")),
      eb("item.fence", "=", place("fence")),
      ...(kind === null ? [] : [eb("item.lease_kind", "=", kind)]),
    ]);
}

/** True of the item whose lease a claim names while that lease runs; `now` (epoch ms) is the place's. */
export function isHeld(place: Place<ClaimKey & { now: number }>, kind: LeaseKind | null) {
  return (eb: ExpressionBuilder<Tables, "item">) =>
    eb.and([isOf(place, kind)(eb), eb("item.lease_until", ">", place("now"))]);
}

/** Makes the function that tells whether the run lease of a claim still runs. */
export function createHoldsRun(
  db: Kysely<Tables>,
): (execute: Execute, claim: Claim, now: number) => Promise<boolean> {
  const find = prepare(db, (place: Place<ClaimKey & { now: number }>) =>
    db.selectFrom("item").select("id").where(isHeld(place, "run")),
  );
  return async (execute, claim, now) => {
    const row = await firstOf(execute(find({ ...claimKey(claim), now })));
    return row !== undefined;
  };
}

/**
 * The part of the work store that renews and frees leases. A lease that has run out is never
 * revived, even when nobody took it: its slot may have been given to another run.
 */
export function createLeases(
  context: StoreContext,
): Pick<WorkStore, "heartbeat" | "leaseState" | "reap"> {
  const { db, now } = context;
  const renew = prepare(db, (place: Place<ClaimKey & { now: number; until: number }>) =>
    db
      .updateTable("item")
      .set({ lease_until: place("until") })
      .where(isHeld(place, null))
      .returning("mark"),
  );
  const findLiving = prepare(db, (place: Place<ClaimKey & { now: number }>) =>
    db.selectFrom("item").select("mark").where(isHeld(place, null)),
  );
  const findOver = prepare(db, (place: Place<{ now: number }>) =>
    db
      .selectFrom("item")
      .select("id")
      .where("lease_until", "is not", null)
      .where("lease_until", "<=", place("now"))
      .limit(1),
  );
  const markItems = createMarkItems(db);
  const takeSequence = createTakeSequence(db);

  const stateOf = async (
    claim: Claim,
    row: { readonly mark: number } | undefined,
  ): Promise<LeaseState> => {
    return row === undefined
      ? { held: false, mark: await markOf(db, claim) }
      : { held: true, mark: row.mark };
  };
  return {
    async heartbeat(claim, leaseMs) {
      const at = now();
      const query = renew({ ...claimKey(claim), now: at, until: at + leaseMs });
      return await stateOf(claim, await firstOf(context.writeQueue(query)));
    },
    async leaseState(claim) {
      const query = findLiving({ ...claimKey(claim), now: now() });
      return await stateOf(claim, await firstOf(context.read(query)));
    },
    async reap(owner) {
      const time = now();
      // Mostly none has run out, and a read tells that without a transaction.
      if (owner === null && (await context.read(findOver({ now: time }))).length === 0) return 0;
      const freed = await context.transact(async (tx) => {
        const { over, runs } = await reapLeases(tx, owner, time);
        if (runs.length === 0) return over;
        const execute = executeIn(tx);
        const seq = await takeSequence(execute, 1);
        await markItems(execute, runs, { seq, urgent: true, at: time });
        return over;
      });
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

/** Frees what is over; the items among them that a run was cut off from are to be marked. */
async function reapLeases(
  tx: Executor,
  owner: string | null,
  now: number,
): Promise<{ readonly over: number; readonly runs: readonly ItemRef[] }> {
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
  if (found.length === 0) return { over: 0, runs: [] };
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
  return { over: over.length, runs };
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
