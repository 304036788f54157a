import { type Kysely, sql } from "kysely";
import type {
  Beginning,
  Conversation,
  ConversationTable,
  SessionDrop,
  SessionStart,
} from "../ports/store/conversations.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { Executor, StoreContext } from "./context.ts";
import { textsOf } from "./json-lists.ts";
import { type Place, prepare } from "./prepare.ts";
import type { Tables } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** The history of the sessions: rows are made and ended by triggers, and given their reasons here. */
export function createConversations({
  db,
  transactCompiled,
  now,
}: StoreContext): ConversationTable {
  const endCurrent = prepareEndCurrent(db);
  return {
    async current(keys) {
      const rows = await sql<Row>`${SELECT}
        where key in ${textsOf(db, keys)} and ended_at is null
        order by seq`.execute(db);
      return new Map(rows.rows.map((row) => [row.key, toConversation(row)]));
    },
    async of(key, limit) {
      const rows = await sql<Row>`${SELECT}
        where key = ${key} order by seq desc limit ${limit}`.execute(db);
      return rows.rows.map(toConversation);
    },
    async ending(keys, why) {
      await transactCompiled(async (execute) => {
        for (const key of keys) await execute(endCurrent({ key, why, at: now(), besides: "" }));
      });
    },
  };
}

/** What is written of a conversation when a run begins it, inside the transaction of the run. */
export interface Beginnings {
  /** Ends the one that it takes the place of, before the session is written. */
  readonly endEarlier: (
    execute: Execute,
    session: SessionRow,
    begins: Beginning & { readonly at: number },
  ) => Promise<void>;
  /** Gives it its reason and what it is handed, once the session is written. */
  readonly name: (execute: Execute, session: SessionRow, begins: Beginning) => Promise<void>;
}

/** Makes the functions that write of a conversation that begins. */
export function createBeginnings(db: Kysely<Tables>): Beginnings {
  const endCurrent = prepareEndCurrent(db);
  const setReason = prepare(db, (place: Place<Beginning & { key: string; session: string }>) =>
    db
      .updateTable("conversation")
      .set({ why: place("why"), hand_over: place("handOver") })
      .where("key", "=", place("key"))
      .where("session", "=", place("session"))
      .where("ended_at", "is", null),
  );
  return {
    async endEarlier(execute, { key, sessionId: besides }, { why, at }) {
      if (why !== "first") await execute(endCurrent({ key, why, at, besides }));
    },
    async name(execute, { key, sessionId: session }, { why, handOver }) {
      await execute(setReason({ key, session, why, handOver }));
    },
  };
}

/** Notes how large the context of the conversation is now. */
export async function sawContext(
  tx: Executor,
  { key, sessionId }: SessionRow,
  tokens: number,
): Promise<void> {
  await tx
    .updateTable("conversation")
    .set({ context_tokens: tokens })
    .where("key", "=", key)
    .where("session", "=", sessionId)
    .where("ended_at", "is", null)
    .execute();
}

/** Ends the current conversation of a key, unless it is the one of the session `besides` (empty: of none). */
function prepareEndCurrent(db: Kysely<Tables>) {
  return prepare(
    db,
    (place: Place<{ key: string; why: SessionDrop; at: number; besides: string }>) => ({
      compile: () =>
        sql`update conversation set ended_at = ${place("at")}, ended_why = ${place("why")},
          last_seen_at = coalesce(
            (select updated_at from session where session.key = ${place("key")}), last_seen_at)
        where key = ${place("key")} and ended_at is null
          and session <> ${place("besides")}`.compile(db),
    }),
  );
}

interface Row {
  readonly key: string;
  readonly session: string;
  readonly why: SessionStart;
  readonly started_at: number;
  readonly last_seen_at: number;
  readonly context_tokens: number;
  readonly hand_over: string | null;
  readonly ended_at: number | null;
  readonly ended_why: SessionDrop | null;
  readonly usd: number;
  readonly input: number;
  readonly output: number;
  readonly cache_read: number;
  readonly cache_write: number;
}

const sumOf = (column: string) =>
  sql`(select coalesce(sum(run.${sql.ref(column)}), 0) from run
    where run.session_key = conversation.key and run.session = conversation.session)`;

const SELECT = sql`select key, session, why, started_at, context_tokens, hand_over, ended_at,
    ended_why,
    case when ended_at is null then coalesce(
      (select updated_at from session where session.key = conversation.key), last_seen_at)
      else last_seen_at end as last_seen_at,
    ${sumOf("usd")} as usd, ${sumOf("tokens_input")} as input,
    ${sumOf("tokens_output")} as output, ${sumOf("tokens_cache_read")} as cache_read,
    ${sumOf("tokens_cache_write")} as cache_write
  from conversation`;

function toConversation(row: Row): Conversation {
  return {
    key: row.key,
    sessionId: row.session,
    why: row.why,
    startedAt: row.started_at,
    lastSeenAt: row.last_seen_at,
    contextTokens: row.context_tokens,
    handOver: row.hand_over,
    endedAt: row.ended_at,
    endedWhy: row.ended_why,
    usd: row.usd,
    tokens: {
      input: row.input,
      output: row.output,
      cacheRead: row.cache_read,
      cacheWrite: row.cache_write,
    },
  };
}
