import type { Hold } from "../domain/hold.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { markItems } from "./mark-items.ts";
import { nextSequence } from "./sequence.ts";
import type { HoldTable } from "./tables.ts";

/** The part of the work store that keeps operators' words about single items. */
export function createHolds(
  context: StoreContext,
): Pick<WorkStore, "hold" | "held" | "holdKnows" | "letGo" | "goOn"> {
  const { db, transact, now } = context;
  return {
    async hold(item, hold) {
      const isKnown = await transact(async (tx) => {
        const order = { order_json: null, order_agent: null, order_fingerprint: null };
        if (!(await setOn(tx, item, { ...order, order_seq: null }))) return false;
        const before = await readHold(tx, item);
        // Its run may still be ending: who cancels that must not let people go on with what is parked.
        if (before?.kind !== "parked" || hold.kind === "parked") {
          await letGo(tx, item);
          await tx
            .insertInto("hold")
            .values({ ...item, ...toColumns(hold) })
            .execute();
        }
        await mark(tx, item);
        return true;
      });
      if (isKnown) context.wake();
      return isKnown;
    },
    async held(item) {
      return await readHold(db, item);
    },
    async holdKnows(item, known) {
      await db
        .updateTable("hold")
        .set({
          known_comment: known.comment,
          known_review: known.review,
          known_act: known.act,
        })
        .where((eb) => eb.and({ ...item }))
        .where("known_act", "is", null)
        .execute();
    },
    async letGo(item) {
      await letGo(db, item);
    },
    async goOn(item) {
      const isKnown = await transact(async (tx) => {
        const newest = await tx
          .selectFrom("run")
          .select("id")
          .where((eb) => eb.and({ ...item }))
          .orderBy("seq", "desc")
          .limit(1)
          .executeTakeFirst();
        const set = { continued_after: newest?.id ?? null, parks_json: "[]", not_before: null };
        if (!(await setOn(tx, item, set))) return false;
        await letGo(tx, item);
        await mark(tx, item);
        return true;
      });
      if (isKnown) context.wake();
      return isKnown;
    },
  };

  async function mark(tx: Executor, item: ItemRef): Promise<void> {
    await markItems(tx, [item], { seq: await nextSequence(tx), urgent: true, at: now() });
  }
}

/** An operator's hold on the item, or null. */
export async function readHold(tx: Executor, item: ItemRef): Promise<Hold | null> {
  const row = await tx
    .selectFrom("hold")
    .selectAll()
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .executeTakeFirst();
  if (row === undefined) return null;
  const { kind, agent, since, known_comment: comment, known_review: review } = row;
  const act = row.known_act;
  const isKnown = comment !== null && review !== null && act !== null;
  return { kind, agent, since, known: isKnown ? { comment, review, act } : null };
}

/** The newest run when an operator last let the item go on. */
export async function readContinuedAfter(tx: Executor, item: ItemRef): Promise<string | null> {
  const row = await tx
    .selectFrom("item")
    .select("continued_after")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .executeTakeFirst();
  return row?.continued_after ?? null;
}

function toColumns({ kind, agent, since, known }: Hold): Omit<HoldTable, "repo" | "number"> {
  return {
    kind,
    agent,
    since,
    known_comment: known?.comment ?? null,
    known_review: known?.review ?? null,
    known_act: known?.act ?? null,
  };
}

/** False for an item that is not known. */
async function setOn(
  tx: Executor,
  item: ItemRef,
  set: Readonly<Record<string, string | null>>,
): Promise<boolean> {
  const row = await tx
    .updateTable("item")
    .set(set)
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .returning("id")
    .executeTakeFirst();
  return row !== undefined;
}

async function letGo(tx: Executor, item: ItemRef): Promise<void> {
  await tx
    .deleteFrom("hold")
    .where("repo", "=", item.repo)
    .where("number", "=", item.number)
    .execute();
}
