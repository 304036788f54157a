import type { WorkStore } from "../ports/store/work.ts";
import type { StoreContext } from "./context.ts";

/** The part of the work store that tells what runs at this moment. */
export function createRunning({
  db,
  now,
}: StoreContext): Pick<WorkStore, "runningAgent" | "running"> {
  return {
    async runningAgent(item) {
      const row = await db
        .selectFrom("item")
        .select("lease_agent")
        .where((eb) => eb.and({ ...item, lease_kind: "run" }))
        .where("lease_until", ">", now())
        .executeTakeFirst();
      return row?.lease_agent ?? null;
    },
    async running(owner) {
      const { count } = await db
        .selectFrom("item")
        .select((eb) => eb.fn.countAll<number>().as("count"))
        .where("lease_kind", "=", "run")
        .where("lease_owner", "=", owner)
        .where("lease_until", ">", now())
        .executeTakeFirstOrThrow();
      return count;
    },
  };
}
