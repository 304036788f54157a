import type { Kysely } from "kysely";
import type { Tables } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** Makes the function that takes `count` numbers in a row that never come again, and resolves with the last of them. */
export function createTakeSequence(
  db: Pick<Kysely<Tables>, "updateTable">,
): (execute: Execute, count: number) => Promise<number> {
  const name = "mark";
  const query = db
    .updateTable("sequence")
    .set((eb) => ({ value: eb("value", "+", 0) }))
    .where("name", "=", name)
    .returning("value")
    .compile();
  return async (execute, count) => {
    const [row] = await execute<{ readonly value: number }>({
      ...query,
      parameters: [count, name],
    });
    if (row === undefined) throw new Error("the table sequence has lost its row mark");
    return row.value;
  };
}
