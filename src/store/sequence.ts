import { sql } from "kysely";
import type { Executor } from "./context.ts";

/** Takes `count` numbers that never come again and resolves with the last of them. */
export async function nextSequence(tx: Executor, count = 1): Promise<number> {
  const { rows } = await sql<{ value: number }>`
    update sequence set value = value + ${count} where name = 'mark' returning value`.execute(tx);
  const [row] = rows;
  if (row === undefined) throw new Error("the table sequence has lost its row mark");
  return row.value;
}
