import { type ExpressionBuilder, sql } from "kysely";
import type { ItemRef } from "../domain/snapshot.ts";
import type { ItemRow } from "../ports/store/items.ts";
import type { WorkStore } from "../ports/store/work.ts";
import { type Executor, pageCursor, pageLimit, pageOf, type StoreContext } from "./context.ts";
import { readJson } from "./json-columns.ts";
import { type Place, prepare } from "./prepare.ts";
import { snapshotSchema } from "./snapshot-schema.ts";
import type { Tables } from "./tables.ts";
import { firstOf } from "./transact.ts";

/** The part of the work store that says what is known of the items. */
export function createItems(
  context: StoreContext,
): Pick<WorkStore, "items" | "item" | "snapshot" | "localItems"> {
  const { db } = context;
  const findItem = prepare(db, (place: Place<ItemRef>) =>
    itemRows(db).where("item.repo", "=", place("repo")).where("item.number", "=", place("number")),
  );
  return {
    async items(limit, before) {
      const count = pageLimit(limit);
      // By the order in which they became known: a row never moves while somebody turns the pages.
      const rows = await itemRows(db)
        .where("item.id", "<", pageCursor(before))
        .orderBy("item.id", "desc")
        .limit(count + 1)
        .execute();
      return pageOf(rows, count, { cursor: (row) => row.id, value: toItemRow });
    },
    async item(ref) {
      const row = await firstOf(context.read(findItem(ref)));
      return row === undefined ? null : toItemRow(row);
    },
    async snapshot(ref) {
      const row = await db
        .selectFrom("snapshot")
        .select("snapshot_json")
        .where("repo", "=", ref.repo)
        .where("number", "=", ref.number)
        .executeTakeFirst();
      if (row === undefined) return null;
      const where = `snapshot ${ref.repo}#${ref.number}`;
      return readJson(row.snapshot_json, snapshotSchema, { warn: context.warn, where });
    },
    async localItems() {
      return findLocal(db);
    },
  };
}

function itemRows(db: Executor) {
  return db
    .selectFrom("item")
    .select([
      "item.id",
      "item.repo",
      "item.number",
      "item.pull",
      "item.state",
      "item.decision",
      "item.reason",
      "item.look_again_at",
      "item.not_before",
      "item.order_agent",
    ])
    .select((eb) => usdOf(eb).as("usd"));
}

function usdOf(eb: ExpressionBuilder<Tables, "item">) {
  return eb
    .selectFrom("run")
    .select((run) => run.fn.coalesce(run.fn.sum<number>("run.usd"), sql<number>`0`).as("usd"))
    .whereRef("run.repo", "=", "item.repo")
    .whereRef("run.number", "=", "item.number");
}

function toItemRow(row: {
  readonly repo: string;
  readonly number: number;
  readonly pull: number | null;
  readonly state: ItemRow["state"];
  readonly decision: string;
  readonly reason: string;
  readonly look_again_at: number | null;
  readonly not_before: number | null;
  readonly order_agent: string | null;
  readonly usd: number | null;
}): ItemRow {
  return {
    repo: row.repo,
    number: row.number,
    pull: row.pull,
    state: row.state,
    decision: row.decision,
    reason: row.reason,
    retryAt: row.not_before ?? row.look_again_at,
    usd: row.usd ?? 0,
    waitsFor: row.order_agent,
  };
}

async function findLocal(db: Executor): Promise<readonly ItemRef[]> {
  return db
    .selectFrom("session")
    .select(["repo", "number"])
    .union(db.selectFrom("clone").select(["repo", "number"]))
    .union(db.selectFrom("run").select(["repo", "number"]).where("ended_at", "is", null))
    .union(db.selectFrom("effect").select(["repo", "number"]).where("state", "=", "intent"))
    .union(
      db
        .selectFrom("item")
        .select(["repo", "number"])
        .where((eb) => eb.or([eb("parks_json", "<>", "[]"), eb("order_seq", "is not", null)])),
    )
    .orderBy("repo")
    .orderBy("number")
    .execute();
}
