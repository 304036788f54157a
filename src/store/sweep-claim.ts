import type { WorkStore } from "../ports/store/work.ts";
import type { StoreContext } from "./context.ts";

/** The row of `meta` with the holder of the sweep: its end in epoch ms, a blank, its name. */
const HOLDER = "sweep:holder";

/** The part of the work store that lets one of several processes sweep. */
export function createSweepClaim(context: StoreContext): Pick<WorkStore, "claimSweep"> {
  return {
    async claimSweep(owner, leaseMs) {
      return await context.transact(async (tx) => {
        const now = context.now();
        const row = await tx
          .selectFrom("meta")
          .select("value")
          .where("key", "=", HOLDER)
          .executeTakeFirst();
        const [until = "0", ...name] = (row?.value ?? "").split(" ");
        if (name.join(" ") !== owner && Number(until) > now) return false;
        const value = `${now + leaseMs} ${owner}`;
        await tx
          .insertInto("meta")
          .values({ key: HOLDER, value })
          .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
          .execute();
        return true;
      });
    },
  };
}
