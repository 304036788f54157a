import type { ExpressionBuilder, Kysely, Transaction } from "kysely";
import {
  type TranscriptEntry,
  TranscriptFailure,
  type TranscriptHolder,
  type TranscriptKey,
  type TranscriptStore,
} from "../ports/transcripts.ts";
import type { Transact } from "./transact.ts";
import type { TranscriptTables } from "./transcript-tables.ts";

/** As large as a line that the CLI may write at all (src/agent/start-process.ts). */
const LINE_BYTES_MAX = 32 * 1024 * 1024;
const TRANSCRIPT_BYTES_MAX = 256 * 1024 * 1024;
const ENTRY_ID_MAX = 200;
/** Lines of one page of a transcript. */
const PAGE_MAX = 500;
/** Five values a line; PostgreSQL takes 65,535 in one statement, SQLite 32,766. */
const STATEMENT_LINES_MAX = 200;

type Tx = Transaction<TranscriptTables>;

/**
 * Transcripts in a database that has the tables of transcript-tables.ts; the queries are those of
 * any database. All appends to one session wait for one another at the row of its holder, where they
 * also see whether they may.
 */
export function createTranscripts(options: {
  readonly db: Kysely<TranscriptTables>;
  readonly transact: Transact<TranscriptTables>;
  /** Epoch milliseconds. */
  readonly now: () => number;
}): Omit<TranscriptStore, "close"> {
  const { db, transact, now } = options;
  return {
    async take(session, holder) {
      await transact((tx) => take(tx, { session, holder, now: now() }));
    },
    async append(key, holder, entries) {
      if (entries.length === 0) return 0;
      return await transact((tx) => append(tx, { key, holder, entries }));
    },
    async has(key) {
      const row = await db
        .selectFrom("transcript")
        .select("lines")
        .where(isOf(key))
        .executeTakeFirst();
      return Number(row?.lines ?? 0) > 0;
    },
    async lines(key, { from, limit, order }) {
      const back = order === "back";
      const rows = await db
        .selectFrom("transcript_line")
        .select(["at", "text"])
        .where(isOf(key))
        .$if(from !== null, (query) => query.where("at", back ? "<" : ">", from ?? 0))
        .orderBy("at", back ? "desc" : "asc")
        .limit(Math.min(limit, PAGE_MAX))
        .execute();
      return rows.map(({ at, text }) => ({ at: Number(at), text }));
    },
    async drop(key) {
      return await transact(async (tx) => {
        await tx.deleteFrom("transcript_line").where(isOf(key)).execute();
        const gone = await tx.deleteFrom("transcript").where(isOf(key)).returning("id").execute();
        return gone.length > 0;
      });
    },
    dropConversations,
    async unused(before, limit) {
      const rows = await db
        .selectFrom("transcript_holder")
        .select("session")
        .where("taken_at", "<", before)
        .orderBy("taken_at")
        .limit(Math.min(limit, PAGE_MAX))
        .execute();
      return rows.map(({ session }) => session);
    },
  };

  async function dropConversations(session: string): Promise<number>;
  async function dropConversations(session: string, before: number): Promise<number | null>;
  async function dropConversations(session: string, before?: number): Promise<number | null> {
    return await transact(async (tx) => await dropAll(tx, { session, before }));
  }
}

async function dropAll(
  tx: Tx,
  { session, before }: { readonly session: string; readonly before: number | undefined },
): Promise<number | null> {
  // First of all: an append under way is waited for, and the next one finds no holder.
  await tx
    .deleteFrom("transcript_holder")
    .where("session", "=", session)
    .$if(before !== undefined, (query) => query.where("taken_at", "<", before ?? 0))
    .execute();
  const holder = await tx
    .selectFrom("transcript_holder")
    .select("session")
    .where("session", "=", session)
    .executeTakeFirst();
  if (holder !== undefined) return null;
  await tx.deleteFrom("transcript_line").where("session", "=", session).execute();
  const gone = await tx
    .deleteFrom("transcript")
    .where("session", "=", session)
    .returning("id")
    .execute();
  return gone.length;
}

async function take(
  tx: Tx,
  of: { readonly session: string; readonly holder: TranscriptHolder; readonly now: number },
): Promise<void> {
  const { session, holder, now } = of;
  const { owner, fence } = holder;
  const taken = await tx
    .insertInto("transcript_holder")
    .values({ session, owner, fence, taken_at: now })
    .onConflict((conflict) =>
      conflict
        .column("session")
        .doUpdateSet({ owner, fence, taken_at: now })
        .where((eb) =>
          eb.or([
            eb("transcript_holder.fence", "<", fence),
            eb.and([
              eb("transcript_holder.fence", "=", fence),
              eb("transcript_holder.owner", "=", owner),
            ]),
          ]),
        ),
    )
    .returning("session")
    .executeTakeFirst();
  if (taken === undefined) throw stale(session, holder);
}

async function append(
  tx: Tx,
  of: {
    readonly key: TranscriptKey;
    readonly holder: TranscriptHolder;
    readonly entries: readonly TranscriptEntry[];
  },
): Promise<number> {
  const { key, holder, entries } = of;
  await lockHolder(tx, key.session, holder);
  const fresh = await notYetThere(tx, key, entries);
  if (fresh.length === 0) return 0;
  const before = await tx
    .selectFrom("transcript")
    .select(["lines", "bytes"])
    .where(isOf(key))
    .executeTakeFirst();
  const lines = Number(before?.lines ?? 0);
  const bytes = fresh.reduce(
    (sum, { text }) => sum + Buffer.byteLength(text),
    Number(before?.bytes ?? 0),
  );
  checkSizes(key, fresh, bytes);
  const rows = fresh.map(({ id, text }, index) => ({
    ...{ session: key.session, id: key.id },
    ...{ at: lines + index + 1, entry: id, text },
  }));
  for (const some of piecesOf(rows)) {
    await tx.insertInto("transcript_line").values(some).execute();
  }
  const size = { lines: lines + fresh.length, bytes };
  await tx
    .insertInto("transcript")
    .values({ session: key.session, id: key.id, ...size })
    .onConflict((conflict) => conflict.columns(["session", "id"]).doUpdateSet(size))
    .execute();
  return fresh.length;
}

/** Holds the row until the end of the transaction: nobody can take the session meanwhile. */
async function lockHolder(tx: Tx, session: string, holder: TranscriptHolder): Promise<void> {
  const { owner, fence } = holder;
  const held = await tx
    .updateTable("transcript_holder")
    .set({ fence })
    .where("session", "=", session)
    .where("owner", "=", owner)
    .where("fence", "=", fence)
    .returning("session")
    .executeTakeFirst();
  if (held === undefined) throw stale(session, holder);
}

/** The entries that are new, each once. */
async function notYetThere(
  tx: Tx,
  key: TranscriptKey,
  entries: readonly TranscriptEntry[],
): Promise<readonly TranscriptEntry[]> {
  const fresh = new Map<string, TranscriptEntry>();
  for (const entry of entries) if (!fresh.has(entry.id)) fresh.set(entry.id, entry);
  for (const ids of piecesOf([...fresh.keys()])) {
    const known = await tx
      .selectFrom("transcript_line")
      .select("entry")
      .where(isOf(key))
      .where("entry", "in", ids)
      .execute();
    for (const { entry } of known) fresh.delete(entry);
  }
  return [...fresh.values()];
}

function checkSizes(key: TranscriptKey, entries: readonly TranscriptEntry[], bytes: number): void {
  const isLineTooLarge = entries.some(
    ({ id, text }) => id.length > ENTRY_ID_MAX || Buffer.byteLength(text) > LINE_BYTES_MAX,
  );
  if (!isLineTooLarge && bytes <= TRANSCRIPT_BYTES_MAX) return;
  throw new TranscriptFailure(
    "too_large",
    `the conversation ${key.id} of ${key.session} is not kept further: it may have ${TRANSCRIPT_BYTES_MAX} bytes, and a line of it ${LINE_BYTES_MAX}`,
  );
}

function isOf({ session, id }: TranscriptKey) {
  return (eb: ExpressionBuilder<TranscriptTables, "transcript" | "transcript_line">) =>
    eb.and([eb("session", "=", session), eb("id", "=", id)]);
}

function piecesOf<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / STATEMENT_LINES_MAX);
  return Array.from({ length: count }, (_, index) =>
    all.slice(index * STATEMENT_LINES_MAX, (index + 1) * STATEMENT_LINES_MAX),
  );
}

const stale = (session: string, { owner, fence }: TranscriptHolder): TranscriptFailure =>
  new TranscriptFailure(
    "stale",
    `${owner} with fence ${fence} may not write the transcripts of ${session}: it was taken by a newer claim or dropped`,
  );
