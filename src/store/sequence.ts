import type { Kysely } from "kysely";
import type { Executor } from "./context.ts";
import type { Tables } from "./tables.ts";
import { type Execute, executeIn } from "./transact.ts";

/** Takes a number that never comes again. */
export async function nextSequence(tx: Executor): Promise<number> {
  return await createTakeSequence(tx)(executeIn(tx), 1);
}

/** Makes the function that takes `count` such numbers in a row and resolves with the last of them. */
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
