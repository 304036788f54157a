import { expect, setDefaultTimeout, test } from "bun:test";
import pg from "pg";
import { postgresWorld, until } from "../support/postgres-world.ts";
import { aStart, claimRun, itemRef, NOON, orderRun } from "../support/store-world.ts";

setDefaultTimeout(60_000);

test("a lease that is renewed while others that ran out are freed is held, and its run goes on", async () => {
  await using world = await postgresWorld();
  const clock = { now: NOON };
  const store = await world.open("a", () => clock.now);
  const claims = [];
  for (const number of [1, 2]) {
    await orderRun(store, number);
    const claim = await claimRun(store);
    await store.runs.start(claim, aStart(`run-${number}`, claim));
    claims.push(claim);
  }
  const [first, second] = claims;
  if (first === undefined || second === undefined) throw new Error("two were claimed");
  // A renewal by somebody whose clock is a moment behind, or which had to wait for a connection.
  const other = new pg.Client({ connectionString: world.address });
  await other.connect();
  await other.query("begin");
  await other.query("update item set lease_until = lease_until + 30000 where number = 1");
  clock.now += 30_001;

  const reaping = store.work.reap(null);
  await until("the store waits for the row", async () => {
    const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock'
      and datname = '${world.database}'`;
    return (await world.cluster.run(waiting)).length > 0;
  });
  await other.query("commit");
  await other.end();

  expect(await reaping).toBe(1);
  expect((await store.work.leaseState(first)).held).toBe(true);
  expect((await store.runs.get("run-1"))?.endedAt).toBeNull();
  expect((await store.work.item(itemRef(1)))?.state).toBe("running");
  expect((await store.work.leaseState(second)).held).toBe(false);
  expect((await store.runs.get("run-2"))?.outcome).toBe("cancelled");
});
