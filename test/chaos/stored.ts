import { Database } from "bun:sqlite";
import { join } from "node:path";
import pg from "pg";
import { REPO } from "../../demo/scenario/widgets.ts";
import type { Evidence, StoredRun } from "./count.ts";

/** What the services' database says. */
export interface Stored extends Pick<Evidence, "delivered" | "items" | "marks" | "runs"> {
  /** Numbers of the items that wait for a word of a person. */
  readonly parked: readonly number[];
  readonly leases: number;
  /** When the newest complete sweep began, as it is stored; "" before the first. */
  readonly swept: string;
  /** The same text as long as nothing has happened. */
  readonly trace: string;
}

/** Reads the database while the services use it. */
export interface StoredReader extends AsyncDisposable {
  read(): Promise<Stored>;
}

type Rows = <Row>(sql: string) => Promise<readonly Row[]>;

/** Of the SQLite database in a state directory. */
export function readSqlite(stateDir: string): StoredReader {
  return {
    read: async () => {
      const db = new Database(join(stateDir, "claude-hooks.db"), { readonly: true });
      try {
        // A new life of the service may be reading in what the killed one had written last.
        db.run("PRAGMA busy_timeout = 5000");
        return await storedOf(async (sql) => await Promise.resolve(db.query<never, []>(sql).all()));
      } finally {
        db.close();
      }
    },
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
}

/** Of the PostgreSQL database at this address, over one connection. */
export async function readPostgres(address: string): Promise<StoredReader> {
  const client = new pg.Client({ connectionString: address });
  client.on("error", (error) => console.error("the evidence cannot be read", error));
  await client.connect();
  return {
    read: async () => {
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      try {
        return await storedOf(async (sql) => (await client.query(sql)).rows);
      } finally {
        await client.query("COMMIT");
      }
    },
    [Symbol.asyncDispose]: async () => await client.end(),
  };
}

interface ItemRow {
  readonly number: number;
  readonly waits: number;
  readonly decision: string;
  readonly state: string;
  readonly reason: string;
  readonly leased: number;
}

/** Both databases understand these words, and neither gives a whole number of 32 bits as text. */
async function storedOf(rows: Rows): Promise<Stored> {
  const items = await rows<ItemRow>(
    `SELECT CAST(number AS integer) AS number, mark, settled, decision, state, reason,
      CASE WHEN mark > settled THEN 1 ELSE 0 END AS waits,
      CASE WHEN lease_until IS NULL THEN 0 ELSE 1 END AS leased
      FROM item WHERE repo = '${REPO}' ORDER BY number`,
  );
  const ids = await rows<{ id: string }>("SELECT id FROM delivery");
  const marks = await rows<{ marks: number }>(
    "SELECT CAST(count(*) AS integer) AS marks FROM mark",
  );
  const runs = await rows<Omit<StoredRun, "resumed"> & { resumed: number }>(
    `SELECT id, CAST(number AS integer) AS number, fingerprint, outcome, session, owner, reason,
      CAST(resumed AS integer) AS resumed FROM run ORDER BY seq`,
  );
  const swept = await rows<{ value: string }>("SELECT value FROM meta WHERE key = 'sweep:since'");
  return {
    delivered: new Set(ids.map(({ id }) => id)),
    items: items.map((item) => ({ ...item, waits: item.waits === 1 })),
    marks: marks[0]?.marks ?? 0,
    runs: runs.map((run) => ({ ...run, resumed: run.resumed === 1 })),
    leases: items.filter(({ leased }) => leased === 1).length,
    swept: swept[0]?.value ?? "",
    trace: JSON.stringify([items, marks, runs]),
    parked: items
      .filter(({ decision, reason }) => decision === "park" || /^attempt \d/u.test(reason))
      .map(({ number }) => number),
  };
}
