import { Database } from "bun:sqlite";
import { Kysely, sql, type Transaction } from "kysely";
import { StoreFailure } from "../ports/store/failure.ts";
import { bunSqliteDialect } from "./bun-sqlite-dialect.ts";
import { migrate } from "./migrations.ts";
import { postgresDialect } from "./postgres-dialect.ts";
import { heardAtNextUse, openPostgresPool } from "./postgres-pool.ts";
import { openRefusal, placeOf } from "./postgres-refusal.ts";
import { preparePostgres } from "./prepare-postgres.ts";
import type { Tables } from "./tables.ts";

/** Rows of one insert: the widest table has 32 columns, and a statement takes 65,535 values. */
const ROWS_MAX = 500;

/** All of it is one transaction, however much there is. */
const COPY_MS_MAX = 24 * 60 * 60_000;

/** Of one state directory's sessions.json: each process begins its own record of that. */
const LOCAL: ReadonlySet<string> = new Set(["session_line", "session_stale"]);

/** Tables that others refer to, first. */
const FIRST: readonly string[] = ["run"];

/** Any table, by its name. */
type Any = Record<string, Record<string, unknown>>;

/** One copied table. */
export interface CopiedTable {
  readonly table: string;
  readonly rows: number;
}

/**
 * Copies every row of the SQLite database at `path`, which nobody may have open, into the empty
 * PostgreSQL database at `address`, counts both sides, and keeps nothing of it when they differ: all
 * or nothing, in one transaction. Both are brought to the newest version first. Throws StoreFailure
 * `open` when one cannot be used, when the target holds rows, or when the counts differ.
 */
export async function copyToPostgres(options: {
  readonly path: string;
  readonly address: string;
  /** What is to be copied beside the tables, once it is known that the target is empty; may be done twice. */
  readonly beside: () => Promise<readonly CopiedTable[]>;
  readonly onTable: (copied: CopiedTable) => void;
}): Promise<readonly CopiedTable[]> {
  const { path, address, beside, onTable } = options;
  await bringUpToDate(path);
  await preparePostgres(address);
  const source = new Database(path, { readonly: true });
  const pool = openPostgresPool({ address, statementMs: COPY_MS_MAX, onLost: heardAtNextUse });
  const target = new Kysely<Any>({ dialect: postgresDialect(pool, COPY_MS_MAX) });
  try {
    source.run("begin");
    return await target.transaction().execute(async (tx) => {
      const tables = tablesOf(source);
      await refuseRows(tx, tables, address);
      const copied = [...(await beside())];
      for (const one of copied) onTable(one);
      await sql`alter table session disable trigger user`.execute(tx);
      await tx.deleteFrom("sequence").execute();
      for (const table of tables) {
        const one = { table, rows: await copyTable(source, tx, table) };
        copied.push(one);
        onTable(one);
      }
      await goOnCounting(tx, tables);
      await sql`alter table session enable trigger user`.execute(tx);
      await sql`insert into session_line (key) select key from session`.execute(tx);
      await sql`insert into session_stale (key) select key from session`.execute(tx);
      return copied;
    });
  } catch (error) {
    throw openRefusal(address, error);
  } finally {
    source.close();
    await target.destroy();
  }
}

async function bringUpToDate(path: string): Promise<void> {
  const db = new Kysely<Tables>({ dialect: bunSqliteDialect(path) });
  try {
    await migrate(db);
  } finally {
    await db.destroy();
  }
}

function tablesOf(source: Database): readonly string[] {
  const found = source
    .query<{ name: string }, []>(
      `select name from sqlite_schema where type = 'table'
       and name not like 'sqlite_%' and name not like 'kysely_%' order by name`,
    )
    .all()
    .map(({ name }) => name)
    .filter((name) => !LOCAL.has(name));
  return [...FIRST, ...found.filter((name) => !FIRST.includes(name))];
}

/** What is made together with the tables does not count: only the counter of marks. */
async function refuseRows(
  tx: Transaction<Any>,
  tables: readonly string[],
  address: string,
): Promise<void> {
  for (const table of tables) {
    if (table === "sequence" || (await countOf(tx, table)) === 0) continue;
    const { host, database } = placeOf(address);
    throw new StoreFailure(
      "open",
      `the database ${database} at ${host} is not empty (table ${table}): nothing was copied; name an empty one`,
    );
  }
}

/** Rows in the order in which they came, so that what counts them goes on after the last. */
async function copyTable(source: Database, tx: Transaction<Any>, table: string): Promise<number> {
  const rows = source.query<Record<string, unknown>, []>(`select * from "${table}"`).iterate();
  let batch: Record<string, unknown>[] = [];
  let read = 0;
  for (const row of rows) {
    batch.push(row);
    read += 1;
    if (batch.length < ROWS_MAX) continue;
    await tx.insertInto(table).values(batch).execute();
    batch = [];
  }
  if (batch.length > 0) await tx.insertInto(table).values(batch).execute();
  const written = await countOf(tx, table);
  if (written === read) return read;
  throw new StoreFailure(
    "open",
    `table ${table} has ${read} rows, but ${written} arrived: nothing was copied; try again, and report it if it stays`,
  );
}

async function countOf(tx: Transaction<Any>, table: string): Promise<number> {
  const { rows } = await sql<{
    count: number;
  }>`select count(*) as count from ${sql.table(table)}`.execute(tx);
  return rows[0]?.count ?? 0;
}

/** Numbers that the database gives out go on after the largest that was copied. */
async function goOnCounting(tx: Transaction<Any>, tables: readonly string[]): Promise<void> {
  const { rows } = await sql<{ table: string; column: string }>`
    select table_name as table, column_name as column from information_schema.columns
    where table_schema = current_schema() and is_identity = 'YES'`.execute(tx);
  for (const { table, column } of rows.filter((row) => tables.includes(row.table))) {
    await sql`select setval(pg_get_serial_sequence(${table}, ${column}),
      greatest((select max(${sql.ref(column)}) from ${sql.table(table)}), 1),
      exists (select 1 from ${sql.table(table)}))`.execute(tx);
  }
}
