import type { Kysely, Selectable } from "kysely";
import type { EffectRecord } from "../domain/ledger.ts";
import type { Claim } from "../ports/store/claims.ts";
import type { EffectStore } from "../ports/store/effects.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import type { StoreContext } from "./context.ts";
import { createHoldsRun } from "./leases.ts";
import { type Place, places, prepare } from "./prepare.ts";
import type { EffectTable, Tables } from "./tables.ts";
import { firstOf } from "./transact.ts";

/** The intents to act on the forge, recorded before and after. */
export function createEffectStore(context: StoreContext): EffectStore {
  const { db } = context;
  const holdsRun = createHoldsRun(db);
  const write = prepareIntent(db);
  const find = prepare(db, (place: Place<{ key: string }>) =>
    db.selectFrom("effect").selectAll().where("key", "=", place("key")),
  );
  const finish = prepare(
    db,
    (place: Place<Pick<EffectTable, "state" | "ref"> & { id: number; text: string }>) =>
      db
        .updateTable("effect")
        .set(places(place, ["state", "ref", "text"]))
        .where("id", "=", place("id"))
        // What is on the forge stays there: nothing later can undo a `done`.
        .where("state", "<>", "done"),
  );
  return {
    async intend({ key, run, item, tool, at, claim }) {
      return await context.transactCompiled(async (execute) => {
        const now = context.now();
        if (claim !== undefined && !(await holdsRun(execute, claim, now))) throw lost(claim);
        const { repo, number } = item;
        await execute(write({ key, run, repo, number, tool, at }));
        const row = await firstOf(execute(find({ key })));
        if (row === undefined) throw new Error(`the intent ${key} was written and is not there`);
        return toEffect(row);
      });
    },
    async finish(id, end) {
      const { state, ref, text } = end;
      await context.write(finish({ id, state, ref, text }));
    },
    async openIntents(item) {
      const rows = await db
        .selectFrom("effect")
        .selectAll()
        .where("repo", "=", item.repo)
        .where("number", "=", item.number)
        .where("state", "=", "intent")
        .orderBy("id")
        .execute();
      return rows.map(toEffect);
    },
  };
}

/** The columns an intent is written with. */
const INTENDED = ["key", "run", "repo", "number", "tool", "at"] as const;

/** An intent of a key that has none yet, or whose act was refused. */
function prepareIntent(db: Kysely<Tables>) {
  return prepare(db, (place: Place<Pick<EffectTable, (typeof INTENDED)[number]>>) =>
    db
      .insertInto("effect")
      .values({ ...places(place, INTENDED), state: "intent", ref: null })
      .onConflict((conflict) =>
        conflict
          .column("key")
          .doUpdateSet({ ...places(place, ["run", "at"]), state: "intent", text: "" })
          .where("effect.state", "=", "refused"),
      ),
  );
}

function lost({ item, owner, fence }: Claim): StoreFailure {
  return new StoreFailure(
    "lost",
    `${owner} with fence ${fence} may not act on ${item.repo}#${item.number} any more: its lease ran out or is another's`,
  );
}

/** A row of `effect` as the ledger has it. */
export function toEffect(row: Selectable<EffectTable>): EffectRecord {
  return {
    id: row.id,
    key: row.key,
    run: row.run,
    tool: row.tool,
    state: row.state,
    ref: row.ref,
    text: row.text,
    at: row.at,
  };
}
