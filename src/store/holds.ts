import type { Kysely } from "kysely";
import type { Hold } from "../domain/hold.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { WorkStore } from "../ports/store/work.ts";
import type { Executor, StoreContext } from "./context.ts";
import { createMarkItems } from "./mark-items.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { createTakeSequence } from "./sequence.ts";
import type { HoldTable, Tables } from "./tables.ts";
import { type Execute, executeIn, firstOf } from "./transact.ts";

/** The part of the work store that keeps operators' words about single items. */
export function createHolds(
  context: StoreContext,
): Pick<WorkStore, "hold" | "held" | "holdKnows" | "letGo" | "goOn"> {
  const { db, transact, now } = context;
  const readHold = createReadHold(db);
  const takeSequence = createTakeSequence(db);
  const markItems = createMarkItems(db);
  return {
    async hold(item, hold) {
      const isKnown = await transact(async (tx) => {
        const order = { order_json: null, order_agent: null, order_fingerprint: null };
        if (!(await setOn(tx, item, { ...order, order_seq: null }))) return false;
        const before = await readHold(executeIn(tx), item);
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
      return await readHold(context.read, item);
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
    const execute = executeIn(tx);
    const seq = await takeSequence(execute, 1);
    await markItems(execute, [item], { seq, urgent: true, at: now() });
  }
}

/** Makes the function that reads an operator's hold on an item, or null. */
export function createReadHold(
  db: Kysely<Tables>,
): (execute: Execute, item: ItemRef) => Promise<Hold | null> {
  const find = prepare(db, (place: Place<ItemRef>) =>
    db
      .selectFrom("hold")
      .selectAll()
      .where((eb) => eb.and(places(place, ["repo", "number"]))),
  );
  return async (execute, { repo, number }) => {
    const row = await firstOf(execute(find({ repo, number })));
    if (row === undefined) return null;
    const { kind, agent, since, known_comment: comment, known_review: review } = row;
    const act = row.known_act;
    const isKnown = comment !== null && review !== null && act !== null;
    return { kind, agent, since, known: isKnown ? { comment, review, act } : null };
  };
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
