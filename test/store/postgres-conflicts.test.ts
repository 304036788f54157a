import { expect, setDefaultTimeout, test } from "bun:test";
import pg from "pg";
import { StoreFailure } from "../../src/ports/store/failure.ts";
import { postgresWorld, until } from "../support/postgres-world.ts";
import { aDelivery, issueMark } from "../support/store-world.ts";

setDefaultTimeout(60_000);

/** Makes PostgreSQL end every write of `mark` with this SQLSTATE, until it was tried `times`; counted past any rollback. */
const refusing = (code: string, times: number): string => `
  create sequence tries;
  create function refuse() returns trigger language plpgsql as $$
  begin
    if nextval('tries') <= ${times} then
      raise exception 'ended in favour of another' using errcode = '${code}';
    end if;
    return new;
  end $$;
  create trigger refuse before insert or update on mark for each row execute function refuse()`;

async function triesOf(world: Awaited<ReturnType<typeof postgresWorld>>): Promise<number> {
  const [row] = await world.cluster.run("select last_value as tries from tries", world.database);
  return Number(row?.["tries"]);
}

test("the victim of a deadlock with somebody who does not take turns is done again as a whole", async () => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await store.work.mark([issueMark(1), issueMark(2)], false);
  const before = await store.work.unresolved(10);
  const other = new pg.Client({ connectionString: world.address });
  await other.connect();
  // Whoever looks first is the victim: the store, which asks after the server's second.
  await other.query("set deadlock_timeout = '30s'; begin");
  await other.query("update mark set tries = 7 where value = '2'");
  const marking = store.work.mark([issueMark(1), issueMark(2)], true);
  await until("the store waits for the row", async () => {
    const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock'
      and datname = '${world.database}'`;
    return (await world.cluster.run(waiting)).length > 0;
  });
  const begin = performance.now();

  await other.query("update sequence set value = value");
  await other.query("commit");
  await marking;

  expect(performance.now() - begin).toBeLessThan(8000);
  const [log] = await world.cluster.run(
    `select deadlocks from pg_stat_database where datname = '${world.database}'`,
  );
  // On a busy machine the second try may come before the other one has woken up, and be a victim, too.
  expect(Number(log?.["deadlocks"])).toBeGreaterThan(0);
  const after = await store.work.unresolved(10);
  expect(after.map(({ mark }) => mark)).toEqual([issueMark(1), issueMark(2)]);
  after.forEach((row, index) => {
    expect(row.count).toBeGreaterThan(before[index]?.count ?? Number.POSITIVE_INFINITY);
  });
  // What the other one has committed meanwhile was not overwritten.
  expect(after.map(({ tries }) => tries)).toEqual([0, 7]);
  await other.end();
});

test.each(["40001", "40P01"])("what ends with %s is tried again, and counts once", async (code) => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await world.cluster.run(refusing(code, 3), world.database);

  const answer = await store.deliveries.record(aDelivery("d1"), [issueMark(1)]);

  expect(answer).toBe("accepted");
  expect(await triesOf(world)).toBe(4);
  expect(await store.work.unresolved(10)).toHaveLength(1);
});

test("a statement on its own is tried again, too", async () => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await store.work.mark([issueMark(1)], true);
  const [row] = await store.work.unresolved(1);
  if (row === undefined) throw new Error("it was marked");
  await world.cluster.run(refusing("40P01", 2), world.database);

  await store.work.postpone(row, store.now() - 1);

  expect(await triesOf(world)).toBe(3);
  expect((await store.work.unresolved(1))[0]?.tries).toBe(1);
});

test("after five times it is a failure of the kind conflict, and nothing was written", async () => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await world.cluster.run(refusing("40001", 1000), world.database);

  const failures = await Promise.all(
    ["d1", "d2"].map((id) =>
      store.deliveries.record(aDelivery(id), [issueMark(1)]).catch((error: unknown) => error),
    ),
  );

  for (const failure of failures) {
    expect(failure).toBeInstanceOf(StoreFailure);
    expect(failure).toMatchObject({ kind: "conflict" });
    expect(String(failure)).toContain("pg_stat_activity");
  }
  // Both waited in one batch, and each is not tried on its own again.
  expect(await triesOf(world)).toBe(5);
  expect((await store.deliveries.list(10, null)).rows).toEqual([]);
});

test("any other refusal is not tried again", async () => {
  await using world = await postgresWorld();
  const store = await world.open("a");
  await world.cluster.run(refusing("23514", 1000), world.database);

  await expect(store.work.mark([issueMark(1)], true)).rejects.toMatchObject({ code: "23514" });

  expect(await triesOf(world)).toBe(1);
});
