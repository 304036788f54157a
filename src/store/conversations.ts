import { sql } from "kysely";
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

/** The history of the sessions: rows are made and ended by triggers, and given their reasons here. */
export function createConversations({ db, transact, now }: StoreContext): ConversationTable {
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
      await transact(async (tx) => {
        for (const key of keys) await endCurrent(tx, { key, why, at: now() });
      });
    },
  };
}

/** Ends the conversation that the one of `session` takes the place of, before the session is written. */
export async function endForBeginning(
  tx: Executor,
  { key, sessionId }: SessionRow,
  { why }: Beginning,
  at: number,
): Promise<void> {
  if (why !== "first") await endCurrent(tx, { key, why, at, besides: sessionId });
}

/** Gives the conversation its reason and what it is handed, once the session is written. */
export async function nameBeginning(
  tx: Executor,
  { key, sessionId }: SessionRow,
  { why, handOver }: Beginning,
): Promise<void> {
  await tx
    .updateTable("conversation")
    .set({ why, hand_over: handOver })
    .where("key", "=", key)
    .where("session", "=", sessionId)
    .where("ended_at", "is", null)
    .execute();
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

async function endCurrent(
  tx: Executor,
  end: {
    readonly key: string;
    readonly why: SessionDrop;
    readonly at: number;
    readonly besides?: string;
  },
): Promise<void> {
  await sql`update conversation set ended_at = ${end.at}, ended_why = ${end.why},
      last_seen_at = coalesce(
        (select updated_at from session where session.key = ${end.key}), last_seen_at)
    where key = ${end.key} and ended_at is null and session <> ${end.besides ?? ""}`.execute(tx);
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
