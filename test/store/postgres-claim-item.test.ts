import { expect, setDefaultTimeout, test } from "bun:test";
import pg from "pg";
import { WRITER_LOCK } from "../../src/store/postgres-dialect.ts";
import { postgresWorld, until } from "../support/postgres-world.ts";
import { itemRef, orderRun } from "../support/store-world.ts";

setDefaultTimeout(60_000);

test("an item that another claim has read as free is not given out a second time", async () => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await orderRun(store, 1);
  const other = new pg.Client({ connectionString: world.address });
  await other.connect();
  let claiming: Promise<unknown>;
  try {
    await other.query(`begin; select pg_advisory_xact_lock(${WRITER_LOCK})`);
    const free = await other.query("select id from item where lease_until is null");
    claiming = store.work.claimItem(itemRef(1), "a", 30_000);
    await until("the claim waits for its turn", async () => {
      const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock'
        and datname = '${world.database}'`;
      return (await world.cluster.run(waiting)).length > 0;
    });
    const lease = "lease_kind = 'run', lease_owner = 'b', lease_until = 9000000000000";
    await other.query(`update item set ${lease}, fence = fence + 1 where id = ${free.rows[0].id}`);
    await other.query("commit");
  } finally {
    await other.end();
  }

  expect(await claiming).toBeNull();
});
