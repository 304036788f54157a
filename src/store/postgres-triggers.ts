/**
 * The triggers of SQLite's migrations in the words of PostgreSQL: they see every write of a session,
 * whoever does it.
 */

/**
 * Every process writes a `sessions.json` of its own, so what has changed is not taken away by the
 * first who reads it: each change gets a number, and each process remembers up to which it has read.
 */
export const POSTGRES_SESSION_LINES: readonly string[] = [
  `create sequence session_version`,
  `alter table session_stale add column version bigint not null default nextval('session_version')`,
  `create index session_stale_version on session_stale (version)`,
  `create function session_noticed() returns trigger language plpgsql as $$
  begin
    if tg_op = 'INSERT' then
      insert into session_line (key) values (new.key) on conflict (key) do nothing;
    end if;
    insert into session_stale (key) values (coalesce(new.key, old.key))
      on conflict (key) do update set version = excluded.version;
    return null;
  end $$`,
  `create trigger session_noticed after insert or update or delete on session
    for each row execute function session_noticed()`,
];

/** The history of conversations, see CONVERSATIONS in migrations.ts. */
export const POSTGRES_CONVERSATIONS: readonly string[] = [
  `create function conversation_kept() returns trigger language plpgsql as $$
  declare
    at bigint := (extract(epoch from clock_timestamp()) * 1000)::bigint;
  begin
    if tg_op = 'UPDATE' then
      if old.session_id = new.session_id then return null; end if;
      update conversation set last_seen_at = old.updated_at, ended_at = at, ended_why = 'by_hand'
        where key = old.key and session = old.session_id and ended_at is null;
      insert into conversation (key, session, why, started_at, last_seen_at)
        values (new.key, new.session_id, 'by_hand', new.created_at, new.updated_at);
    elsif tg_op = 'INSERT' then
      insert into conversation (key, session, why, started_at, last_seen_at)
        values (new.key, new.session_id, 'first', new.created_at, new.updated_at);
    else
      update conversation set last_seen_at = old.updated_at, ended_at = at, ended_why = 'removed'
        where key = old.key and session = old.session_id and ended_at is null;
    end if;
    return null;
  end $$`,
  `create trigger conversation_kept after insert or update or delete on session
    for each row execute function conversation_kept()`,
];
