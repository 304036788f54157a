import { sql } from "kysely";
import type { SessionLine, SessionLines } from "../ports/store/sessions.ts";
import type { StoreContext } from "./context.ts";
import { textsOf } from "./json-lists.ts";
import { toSession } from "./sessions.ts";
import type { SessionColumns } from "./tables.ts";

/**
 * The record of changed sessions where several processes share the database: each writes a
 * `sessions.json` of its own and never reads one, so nothing has to be remembered of what stands in
 * it, only up to which change this process has read.
 */
export function createSharedSessionLines(context: StoreContext): SessionLines {
  const { db } = context;
  let read = 0;
  const always = async (): Promise<boolean> => true;
  return {
    claim: async () => 1,
    async page(after, limit) {
      const rows = await db
        .selectFrom("session")
        .selectAll()
        .where("key", ">", after)
        .orderBy("key")
        .limit(limit)
        .execute();
      return rows.map((row) => lineOf(row.key, row));
    },
    async takeStale(_owner, limit) {
      // Writers take turns, so a smaller number never appears after a larger one was seen.
      const { rows } = await sql<{ key: string; version: number }>`
        select key, version from session_stale where version > ${read}
        order by version limit ${limit}`.execute(db);
      read = rows.at(-1)?.version ?? read;
      return rows.map(({ key }) => key);
    },
    async of(keys) {
      const rows = await db
        .selectFrom("session")
        .selectAll()
        .where("key", "in", textsOf(db, keys))
        .execute();
      const found = new Map(rows.map((row) => [row.key, row]));
      return keys.map((key) => lineOf(key, found.get(key)));
    },
    withdraw: always,
    announce: always,
    async rename(_owner, rename) {
      rename();
      return true;
    },
    confirm: always,
    settle: always,
  };
}

function lineOf(key: string, row: SessionColumns | undefined): SessionLine {
  return { key, session: row === undefined ? null : toSession(row), written: null, writing: null };
}
