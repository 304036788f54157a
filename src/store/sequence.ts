import type { Executor } from "./context.ts";

/** Takes `count` numbers that never come again and resolves with the last of them. */
export async function nextSequence(tx: Executor, count = 1): Promise<number> {
  const { value } = await tx
    .updateTable("sequence")
    .set((eb) => ({ value: eb("value", "+", count) }))
    .where("name", "=", "mark")
    .returning("value")
    .executeTakeFirstOrThrow();
  return value;
}
