import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { StoreFailure } from "../ports/store/failure.ts";
import { type Engine, engineOf } from "./engine.ts";
import { toPostgres } from "./postgres-tables.ts";
import { POSTGRES_CONVERSATIONS, POSTGRES_SESSION_LINES } from "./postgres-triggers.ts";
import type { Tables } from "./tables.ts";

/** One statement for both engines in SQLite's words, or what only one of them is told. */
type Statement = string | { readonly sqlite?: string; readonly postgres?: readonly string[] };

/** Every version of the tables, oldest first. Append only: a released one never changes. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_tables": { up: (db) => runAll(db, FIRST_TABLES) },
  "0002_session_lines": { up: (db) => runAll(db, SESSION_LINES) },
  "0003_run_seen": { up: (db) => runAll(db, RUN_SEEN) },
  "0004_conversations": { up: (db) => runAll(db, CONVERSATIONS) },
  "0005_delivery_body": { up: (db) => runAll(db, DELIVERY_BODY) },
  "0006_holds": { up: (db) => runAll(db, HOLDS) },
  "0007_gates": { up: (db) => runAll(db, GATES) },
  "0008_run_owner": { up: (db) => runAll(db, RUN_OWNER) },
  "0009_gate_probe": { up: (db) => runAll(db, GATE_PROBE) },
  "0010_bodies_in_memory": { up: (db) => runAll(db, BODIES_IN_MEMORY) },
};

/**
 * Brings the tables to the newest version, all in one transaction (`db` may be one already). Throws StoreFailure `newer` when
 * the database has versions this program does not know, `open` when a step fails.
 */
export async function migrate(db: Kysely<Tables>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  });
  const unknown = await unknownMigrations(db);
  if (unknown.length > 0) {
    throw new StoreFailure(
      "newer",
      `the database has the version ${unknown.join(", ")}, which this program does not know: start the newer program again, or restore a backup made before it`,
    );
  }
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw new StoreFailure(
      "open",
      `the tables of the database cannot be brought to the newest version: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

async function unknownMigrations(db: Kysely<Tables>): Promise<readonly string[]> {
  if (!(await hasMigrations(db))) return [];
  const done = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(
    db,
  );
  return done.rows.map((row) => row.name).filter((name) => !(name in MIGRATIONS));
}

async function hasMigrations(db: Kysely<Tables>): Promise<boolean> {
  const found =
    engineOf(db) === "postgres"
      ? await sql`select 1 where to_regclass('kysely_migration') is not null`.execute(db)
      : await sql`select 1 from sqlite_master where name = 'kysely_migration'`.execute(db);
  return found.rows.length > 0;
}

async function runAll(db: Kysely<unknown>, statements: readonly Statement[]): Promise<void> {
  const engine = engineOf(db);
  for (const statement of statements) {
    for (const text of textsFor(statement, engine)) await sql.raw(text).execute(db);
  }
}

function textsFor(statement: Statement, engine: Engine): readonly string[] {
  if (typeof statement === "string") {
    return [engine === "postgres" ? toPostgres(statement) : statement];
  }
  if (engine === "postgres") return statement.postgres ?? [];
  return statement.sqlite === undefined ? [] : [statement.sqlite];
}

const FIRST_TABLES: readonly Statement[] = [
  `create table sequence (name text primary key, value integer not null) strict`,
  `insert into sequence (name, value) values ('mark', 0)`,
  `create table delivery (
    seq integer primary key autoincrement,
    id text not null unique,
    event text not null,
    repo text,
    number integer,
    sender text,
    received_at integer not null,
    status text not null check (status in ('accepted', 'ignored')),
    reason text,
    body_sha256 text not null
  ) strict`,
  `create table mark (
    repo text not null,
    kind text not null check (kind in ('number', 'branch', 'sha')),
    value text not null,
    count integer not null,
    first_seq integer not null,
    urgent_seq integer,
    first_at integer not null,
    primary key (repo, kind, value)
  ) strict`,
  `create table item (
    id integer primary key autoincrement,
    repo text not null,
    number integer not null,
    pull integer,
    mark integer not null,
    settled integer not null,
    marked_seq integer,
    marked_at integer,
    urgent_seq integer,
    look_again_at integer,
    not_before integer,
    state text not null default 'waiting' check (state in ('idle', 'waiting', 'running', 'parked')),
    decision text not null default 'none',
    reason text not null default 'not looked at yet',
    parks_json text not null default '[]',
    order_json text,
    order_agent text,
    order_fingerprint text,
    order_seq integer,
    lease_kind text check (lease_kind in ('reconcile', 'run')),
    lease_owner text,
    lease_until integer,
    lease_agent text,
    fence integer not null default 0,
    said text,
    unique (repo, number),
    check ((lease_kind is null) = (lease_until is null)),
    check ((order_json is null) = (order_seq is null))
  ) strict`,
  `create index item_urgent on item (urgent_seq) where mark > settled and urgent_seq is not null`,
  `create index item_marked on item (marked_at, marked_seq) where mark > settled`,
  `create index item_look_again on item (look_again_at) where look_again_at is not null`,
  `create index item_order on item (order_seq) where order_seq is not null`,
  `create index item_lease on item (lease_until) where lease_until is not null`,
  `create table snapshot (
    repo text not null,
    number integer not null,
    snapshot_json text not null,
    primary key (repo, number)
  ) strict`,
  `create table pull (
    repo text not null,
    pull integer not null,
    number integer not null,
    primary key (repo, pull)
  ) strict`,
  `create index pull_item on pull (repo, number)`,
  `create table session (
    key text primary key,
    agent text not null,
    repo text not null,
    number integer not null,
    session_id text not null,
    created_at integer not null,
    updated_at integer not null,
    resumes integer not null,
    tainted integer not null check (tainted in (0, 1)),
    usd_total real not null
  ) strict`,
  `create index session_item on session (repo, number)`,
  `create table run (
    seq integer primary key autoincrement,
    id text not null unique,
    repo text not null,
    number integer not null,
    agent text not null,
    skill text not null,
    attempt integer not null,
    fingerprint text not null,
    session_key text not null,
    session text not null,
    resumed integer not null check (resumed in (0, 1)),
    started_at integer not null,
    ended_at integer,
    outcome text check (outcome in ('succeeded', 'asked', 'declined', 'failed', 'timed_out', 'stalled', 'cancelled', 'parked')),
    reason text,
    usd real not null default 0,
    tokens_input integer not null default 0,
    tokens_output integer not null default 0,
    tokens_cache_read integer not null default 0,
    tokens_cache_write integer not null default 0,
    tainted integer not null check (tainted in (0, 1)),
    head_sha text,
    pushed_sha text,
    shown_json text not null,
    prompt_bytes integer not null,
    pid integer,
    start_ticks text,
    boot_id text,
    check ((ended_at is null) = (outcome is null))
  ) strict`,
  `create index run_item on run (repo, number, seq)`,
  `create index run_session on run (session_key, seq)`,
  `create index run_ended on run (ended_at)`,
  `create index run_outcome on run (outcome)`,
  `create table effect (
    id integer primary key autoincrement,
    key text not null unique,
    run text not null,
    repo text not null,
    number integer not null,
    tool text not null,
    state text not null check (state in ('intent', 'done', 'refused')),
    ref integer,
    text text not null default '',
    at integer not null
  ) strict`,
  `create index effect_item on effect (repo, number, id)`,
  `create index effect_intent on effect (repo, number) where state = 'intent'`,
  `create table clone (
    repo text not null,
    number integer not null,
    agent text not null,
    primary key (repo, number, agent)
  ) strict`,
  `create table push (
    seq integer primary key autoincrement,
    repo text not null,
    number integer not null,
    branch text not null,
    sha text not null,
    run text not null references run (id),
    pushed_at integer not null,
    unique (repo, number, branch, sha)
  ) strict`,
  `create table branch (
    repo text not null,
    number integer not null,
    branch text not null,
    tried integer not null check (tried in (0, 1)),
    primary key (repo, number, branch)
  ) strict`,
  `create table pause (
    kind text not null check (kind in ('all', 'repo', 'agent')),
    name text not null,
    primary key (kind, name)
  ) strict`,
  `create table meta (key text primary key, value text not null) strict`,
];

/**
 * What `sessions.json` holds of each session, and which have changed since: the triggers see every
 * write, whoever does it. A dropped session keeps its line for as long as the file may. The changed
 * ones have a table of their own, as a flag in `session_line` would touch a page more for each.
 */
const SESSION_LINES: readonly Statement[] = [
  `create table session_line (key text primary key, written text, writing text) strict, without rowid`,
  `create index session_line_writing on session_line (writing) where writing is not null`,
  `create table session_stale (key text primary key) strict, without rowid`,
  `insert into session_line (key) select key from session`,
  {
    sqlite: `create trigger session_inserted after insert on session begin
    insert into session_line (key) values (new.key) on conflict (key) do nothing;
    insert into session_stale (key) values (new.key) on conflict (key) do nothing;
  end`,
  },
  {
    sqlite: `create trigger session_updated after update on session begin
    insert into session_stale (key) values (new.key) on conflict (key) do nothing;
  end`,
  },
  {
    sqlite: `create trigger session_deleted after delete on session begin
    insert into session_stale (key) values (old.key) on conflict (key) do nothing;
  end`,
  },
  { postgres: POSTGRES_SESSION_LINES },
];

/** Kept apart from `run`: it is large, and only the next run of the session reads it. */
const RUN_SEEN: readonly Statement[] = [
  `create table run_seen (run text primary key references run (id), seen_json text not null) strict, without rowid`,
];

/**
 * One row for each conversation there ever was: why it began and why it is no longer the session's.
 * The triggers see every write, whoever does it; what knows a better reason writes that before. An
 * end that nobody names is stamped with the database's own clock, as a trigger is told no time.
 */
const CONVERSATIONS: readonly Statement[] = [
  `create table conversation (
    seq integer primary key autoincrement,
    key text not null,
    session text not null,
    why text not null,
    started_at integer not null,
    last_seen_at integer not null,
    context_tokens integer not null default 0,
    hand_over text,
    ended_at integer,
    ended_why text,
    check ((ended_at is null) = (ended_why is null))
  ) strict`,
  `create index conversation_session on conversation (key, session)`,
  `insert into conversation (key, session, why, started_at, last_seen_at)
    select key, session_id, 'first', created_at, updated_at from session`,
  {
    sqlite: `create trigger conversation_inserted after insert on session begin
    insert into conversation (key, session, why, started_at, last_seen_at)
    values (new.key, new.session_id, 'first', new.created_at, new.updated_at);
  end`,
  },
  {
    sqlite: `create trigger conversation_replaced after update of session_id on session
  when old.session_id <> new.session_id begin
    update conversation set
      last_seen_at = old.updated_at,
      ended_at = coalesce(ended_at, cast(unixepoch('subsec') * 1000 as integer)),
      ended_why = coalesce(ended_why, 'by_hand')
    where key = old.key and session = old.session_id and ended_at is null;
    insert into conversation (key, session, why, started_at, last_seen_at)
    values (new.key, new.session_id, 'by_hand', new.created_at, new.updated_at);
  end`,
  },
  {
    sqlite: `create trigger conversation_deleted after delete on session begin
    update conversation set
      last_seen_at = old.updated_at,
      ended_at = cast(unixepoch('subsec') * 1000 as integer),
      ended_why = 'removed'
    where key = old.key and session = old.session_id and ended_at is null;
  end`,
  },
  { postgres: POSTGRES_CONVERSATIONS },
];

/** By which a delivery finds the one that it is a twin of; only on PostgreSQL, see BODIES_IN_MEMORY. */
const DELIVERY_BODY: readonly string[] = [
  `create index delivery_body on delivery (body_sha256, received_at)`,
];

/** What operators say about single items: stopped until somebody acts, or let go on past its limits. */
const HOLDS: readonly Statement[] = [
  `create table hold (
    repo text not null,
    number integer not null,
    kind text not null check (kind in ('cancelled', 'parked')),
    agent text,
    since integer not null,
    known_comment integer,
    known_review integer,
    known_act integer,
    primary key (repo, number)
  ) strict`,
  `alter table item add column continued_after text`,
];

/**
 * Closed gates (see Gate); when a mark that could not be resolved is looked at again, and how often it
 * was; and by what a conversation was begun that every further request of it begins with.
 */
const GATES: readonly Statement[] = [
  `create table gate (
    name text primary key,
    reason text not null,
    attempt integer not null,
    since integer not null,
    retry_at integer not null,
    is_named integer not null
  ) strict, without rowid`,
  `alter table mark add column not_before integer`,
  `alter table mark add column tries integer not null default 0`,
  `create table prefix (
    key text primary key,
    session text not null,
    agent text not null,
    model text not null,
    tools text not null
  ) strict, without rowid`,
];

/** Who made a run, and whether its process may still live on that host although others have ended the run. */
const RUN_OWNER: readonly Statement[] = [
  `alter table run add column owner text`,
  `alter table run add column orphaned integer not null default 0`,
  `create index run_orphaned on run (owner) where orphaned = 1`,
];

/** Who of several processes tries a closed gate, and until when the others leave it to that one. */
const GATE_PROBE: readonly Statement[] = [
  `alter table gate add column probe text`,
  `alter table gate add column probe_until integer`,
];

/** Only PostgreSQL still looks for bodies in the table: SQLite's one process keeps the newest in memory, see createOriginals. */
const BODIES_IN_MEMORY: readonly Statement[] = [{ sqlite: `drop index if exists delivery_body` }];
