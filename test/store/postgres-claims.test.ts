import { expect, setDefaultTimeout, test } from "bun:test";
import pg from "pg";
import type { Store } from "../../src/ports/store.ts";
import { WRITER_LOCK } from "../../src/store/postgres-dialect.ts";
import { postgresWorld, until } from "../support/postgres-world.ts";
import { itemRef, markItem, orderRun } from "../support/store-world.ts";

setDefaultTimeout(60_000);

const LEASE =
  "lease_kind = 'run', lease_owner = 'b', lease_until = 9000000000000, fence = fence + 1, order_json = null, order_seq = null";

interface Race {
  /** How the other one's transaction begins. */
  readonly begin: string;
  /** Whether the other one has written when the claim is made, or has only read then. */
  readonly isWritten: boolean;
  readonly prepare: (store: Store) => Promise<unknown>;
  readonly claim: (store: Store) => Promise<unknown>;
}

/** What `claim` says while somebody else leases the one item there is and commits once the claim waits. */
async function claimedBeside({ begin, isWritten, prepare, claim }: Race): Promise<unknown> {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await prepare(store);
  const other = new pg.Client({ connectionString: world.address });
  await other.connect();
  try {
    await other.query(begin);
    const { rows } = await other.query("select id from item where lease_until is null");
    const write = `update item set ${LEASE} where id = ${rows[0].id}`;
    if (isWritten) await other.query(write);
    const claiming = claim(store);
    await until("the claim waits", async () => {
      const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock'
        and datname = '${world.database}'`;
      return (await world.cluster.run(waiting)).length > 0;
    });
    if (!isWritten) await other.query(write);
    await other.query("commit");
    return await claiming;
  } finally {
    await other.end();
  }
}

test("an item that another claim has read as free is not given out a second time", async () => {
  const claimed = await claimedBeside({
    begin: `begin; select pg_advisory_xact_lock(${WRITER_LOCK})`,
    isWritten: false,
    prepare: async (store) => await orderRun(store, 1),
    claim: async (store) => await store.work.claimItem(itemRef(1), "a", 30_000),
  });

  expect(claimed).toBeNull();
});

test("nor is one that somebody is leasing without a turn, as an older version did", async () => {
  const beside = { begin: "begin", isWritten: true };
  const toLookAt = await claimedBeside({
    ...beside,
    prepare: async (store) => await markItem(store, 1),
    claim: async (store) => await store.work.claimReconcile("a", 30_000),
  });
  const toRun = await claimedBeside({
    ...beside,
    prepare: async (store) => await orderRun(store, 1),
    claim: async (store) => await store.work.claimRun("a", 30_000, { runs: 9, runsPerAgent: 9 }),
  });

  expect([toLookAt, toRun]).toEqual([null, null]);
});
