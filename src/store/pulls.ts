import type { PullTable } from "../ports/store/pulls.ts";
import type { StoreContext } from "./context.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { firstOf } from "./transact.ts";

/** Which work item a pull request belongs to; a row never changes once written. */
export function createPulls(context: StoreContext): PullTable {
  const { db, transact } = context;
  const findItem = prepare(db, (place: Place<{ repo: string; pull: number }>) =>
    db
      .selectFrom("pull")
      .select("number")
      .where((eb) => eb.and(places(place, ["repo", "pull"]))),
  );
  const findNumber = prepare(db, (place: Place<{ repo: string; number: number }>) =>
    db.selectNoFrom((eb) => {
      const ofPull = eb
        .selectFrom("pull")
        .select("number")
        .where("repo", "=", place("repo"))
        .where("pull", "=", place("number"));
      const own = eb
        .selectFrom("item")
        .select("number")
        .where((item) => item.and(places(place, ["repo", "number"])));
      return eb.fn.coalesce(ofPull, own).as("number");
    }),
  );
  return {
    async itemOf(repo, pull) {
      const row = await firstOf(context.read(findItem({ repo, pull })));
      return row?.number ?? null;
    },
    async itemOfNumber(repo, number) {
      const row = await firstOf(context.read(findNumber({ repo, number })));
      return row?.number ?? null;
    },
    async pullsOf(item) {
      const rows = await db
        .selectFrom("pull")
        .select("pull")
        .where("repo", "=", item.repo)
        .where("number", "=", item.number)
        .orderBy("pull")
        .execute();
      return rows.map((row) => row.pull);
    },
    async write(repo, pull, number) {
      return transact(async (tx) => {
        await tx
          .insertInto("pull")
          .values({ repo, pull, number })
          .onConflict((conflict) => conflict.columns(["repo", "pull"]).doNothing())
          .execute();
        const row = await tx
          .selectFrom("pull")
          .select("number")
          .where("repo", "=", repo)
          .where("pull", "=", pull)
          .executeTakeFirstOrThrow();
        return row.number;
      });
    },
  };
}
