import type { Kysely } from "kysely";
import { type Place, prepare } from "./prepare.ts";
import type { Tables } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** Makes the function that takes `count` numbers in a row that never come again, and resolves with the last of them. */
export function createTakeSequence(
  db: Kysely<Tables>,
): (execute: Execute, count: number) => Promise<number> {
  const take = prepare(db, (place: Place<{ count: number }>) =>
    db
      .updateTable("sequence")
      .set((eb) => ({ value: eb("value", "+", place("count")) }))
      .where("name", "=", "mark")
      .returning("value"),
  );
  return async (execute, count) => {
    const row = await firstOf(execute(take({ count })));
    if (row === undefined) throw new Error("the table sequence has lost its row mark");
    return row.value;
  };
}
