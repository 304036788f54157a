import type { Selectable } from "kysely";
import type { EffectRecord } from "../domain/ledger.ts";
import type { Claim } from "../ports/store/claims.ts";
import type { EffectStore } from "../ports/store/effects.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import type { StoreContext } from "./context.ts";
import { holdsRun } from "./leases.ts";
import type { EffectTable } from "./tables.ts";

/** The intents to act on the forge, recorded before and after. */
export function createEffectStore(context: StoreContext): EffectStore {
  const { db, transact } = context;
  return {
    async intend({ key, run, item, tool, at, claim }) {
      return transact(async (tx) => {
        if (claim !== undefined && !(await holdsRun(tx, claim, context.now()))) throw lost(claim);
        await tx
          .insertInto("effect")
          .values({
            key,
            run,
            repo: item.repo,
            number: item.number,
            tool,
            state: "intent",
            ref: null,
            at,
          })
          .onConflict((conflict) =>
            conflict
              .column("key")
              .doUpdateSet({ state: "intent", run, at, text: "" })
              .where("effect.state", "=", "refused"),
          )
          .execute();
        const row = await tx
          .selectFrom("effect")
          .selectAll()
          .where("key", "=", key)
          .executeTakeFirstOrThrow();
        return toEffect(row);
      });
    },
    async finish(id, end) {
      // What is on the forge stays there: nothing later can undo a `done`.
      await db
        .updateTable("effect")
        .set({ state: end.state, ref: end.ref, text: end.text })
        .where("id", "=", id)
        .where("state", "<>", "done")
        .execute();
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
