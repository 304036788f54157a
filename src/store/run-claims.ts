import type { ExpressionBuilder } from "kysely";
import type { Claim, RunLimits } from "../ports/store/claims.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { orderSchema, readJson } from "./json-columns.ts";
import { isFree, isOf, NO_LEASE } from "./leases.ts";
import { markItems } from "./mark-items.ts";
import { addPark, dropRetries } from "./parks.ts";
import { nextSequence } from "./sequence.ts";
import type { Tables } from "./tables.ts";

const NO_ORDER = { order_json: null, order_agent: null, order_fingerprint: null, order_seq: null };

/** The part of the work store that gives waiting orders a slot and takes the slot back. */
export function createRunClaims(context: StoreContext): Pick<WorkStore, "claimRun" | "settleRun"> {
  return {
    async claimRun(owner, leaseMs, limits) {
      if (!(await hasOrder(context.db))) return null;
      return context.transactQueue(async (tx) => {
        const now = context.now();
        if ((await countRuns(tx, now)) >= limits.runs) return null;
        for (;;) {
          const found = await findOrder(tx, now, limits);
          if (found === undefined) return null;
          const where = `item ${found.repo}#${found.number} order_json`;
          const order = readJson(found.order_json ?? "", orderSchema, {
            warn: context.warn,
            where,
          });
          if (order === null) {
            await dropOrder(tx, found, now);
            continue;
          }
          const fence = found.fence + 1;
          await tx
            .updateTable("item")
            .set({
              ...NO_ORDER,
              lease_kind: "run",
              lease_owner: owner,
              lease_until: now + leaseMs,
              lease_agent: order.agent,
              fence,
              state: "running",
            })
            .where("id", "=", found.id)
            .execute();
          const item = { repo: found.repo, number: found.number };
          return { item, owner, fence, mark: found.mark, order };
        }
      });
    },
    async settleRun(claim, after) {
      const settled = await context.transact((tx) => settle(tx, claim, after));
      if (settled) context.wake();
      return settled;
    },
  };

  async function settle(
    tx: Executor,
    claim: Claim,
    after: Parameters<WorkStore["settleRun"]>[1],
  ): Promise<boolean> {
    const freed = await tx
      .updateTable("item")
      .set({ ...NO_LEASE, state: "waiting", not_before: after.notBefore })
      .where(isOf(claim, "run"))
      .returning("id")
      .executeTakeFirst();
    if (freed === undefined) return false;
    const seq = await nextSequence(tx);
    await markItems(tx, [claim.item], { seq, urgent: true, at: context.now() });
    const { item } = claim;
    if (after.park !== null) await addPark(tx, { item, park: after.park }, context.warn);
    else if (after.row !== undefined) await dropRetries(tx, { item, row: after.row }, context.warn);
    return true;
  }
}

/** Mostly nothing waits, and a read tells that without a transaction. What is ordered after it wakes the loop again. */
async function hasOrder(db: Executor): Promise<boolean> {
  const any = await db
    .selectFrom("item")
    .select("id")
    .where("order_seq", "is not", null)
    .where(isFree)
    .limit(1)
    .executeTakeFirst();
  return any !== undefined;
}

async function countRuns(tx: Executor, now: number): Promise<number> {
  const { count } = await tx
    .selectFrom("item")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("lease_until", ">", now)
    .where("lease_kind", "=", "run")
    .executeTakeFirstOrThrow();
  return count;
}

/** The order that waits the longest of those whose agent and repository may run now and whose agent no gate holds. */
function findOrder(tx: Executor, now: number, limits: RunLimits) {
  const { held = [] } = limits;
  return tx
    .selectFrom("item")
    .select(["id", "repo", "number", "mark", "fence", "order_json"])
    .where("order_seq", "is not", null)
    .where(isFree)
    .where((eb) => eb.not(eb.exists(pauseOf(eb))))
    .where((eb) => eb.not(eb.exists(holdOf(eb))))
    .where((eb) => eb(runsOfAgent(eb, now), "<", limits.runsPerAgent))
    .$if(held.length > 0, (query) => query.where("order_agent", "not in", held))
    .orderBy("order_seq")
    .limit(1)
    .executeTakeFirst();
}

function pauseOf(eb: ExpressionBuilder<Tables, "item">) {
  return eb
    .selectFrom("pause")
    .select("pause.kind")
    .where((pause) =>
      pause.or([
        pause("pause.kind", "=", "all"),
        pause.and([
          pause("pause.kind", "=", "repo"),
          pause("pause.name", "=", pause.ref("item.repo")),
        ]),
        pause.and([
          pause("pause.kind", "=", "agent"),
          pause("pause.name", "=", pause.ref("item.order_agent")),
        ]),
      ]),
    );
}

function holdOf(eb: ExpressionBuilder<Tables, "item">) {
  return eb
    .selectFrom("hold")
    .select("hold.kind")
    .whereRef("hold.repo", "=", "item.repo")
    .whereRef("hold.number", "=", "item.number");
}

function runsOfAgent(eb: ExpressionBuilder<Tables, "item">, now: number) {
  return eb
    .selectFrom("item as busy")
    .select((busy) => busy.fn.countAll<number>().as("count"))
    .where("busy.lease_until", ">", now)
    .where("busy.lease_kind", "=", "run")
    .whereRef("busy.lease_agent", "=", "item.order_agent");
}

/** A damaged order is taken back and its item marked: the next reconcile gives it anew. */
async function dropOrder(
  tx: Executor,
  item: { readonly repo: string; readonly number: number },
  now: number,
): Promise<void> {
  await tx
    .updateTable("item")
    .set(NO_ORDER)
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .execute();
  await markItems(tx, [item], { seq: await nextSequence(tx), urgent: true, at: now });
}
