import { type Nullable, sql } from "kysely";
import type { SeenLine, SessionLine, SessionLines } from "../ports/store/sessions.ts";
import type { Executor, StoreContext } from "./context.ts";
import { rowsOf, textsOf } from "./json-lists.ts";
import { deleteSession, putSessions, toSession } from "./sessions.ts";
import type { SessionColumns } from "./tables.ts";
import { executeIn } from "./transact.ts";

/** The row of `meta` with the number of the process that may write the file. */
const OWNER = "sessions.mirror.owner";

/** Rows changed in one transaction: a millisecond or two, so that nobody waits long. */
const ROWS_MAX = 500;

/** The part of the session table that knows what stands in `sessions.json`. */
export function createSessionLines(context: StoreContext): SessionLines {
  const { db, transact } = context;
  return {
    async claim() {
      return transact(claim);
    },
    async page(after, limit) {
      const rows = await linesOf(db)
        .where("line.key", ">", after)
        .orderBy("line.key")
        .limit(limit)
        .execute();
      return rows.map(toLine);
    },
    async takeStale(owner, limit) {
      return transact(async (tx) => {
        if ((await ownerNow(tx)) !== owner) return null;
        const rows = await tx
          .deleteFrom("session_stale")
          .where("key", "in", (stale) =>
            stale.selectFrom("session_stale").select("key").limit(limit),
          )
          .returning("key")
          .execute();
        return rows.map((row) => row.key);
      });
    },
    async of(keys) {
      const rows = await linesOf(db).where("line.key", "in", textsOf(db, keys)).execute();
      return rows.map(toLine);
    },
    async withdraw(owner) {
      return asOwner(context, owner, withdrawSome);
    },
    async announce(owner, lines) {
      for (const batch of inBatches(lines)) {
        const isOwner = await asOwner(context, owner, async (tx) => announceSome(tx, batch));
        if (!isOwner) return false;
        await othersTurn();
      }
      return true;
    },
    async rename(owner, rename) {
      return asOwner(context, owner, async () => {
        rename();
        return 0;
      });
    },
    async confirm(owner) {
      return asOwner(context, owner, confirmSome);
    },
    async settle(owner, seen) {
      return asOwner(context, owner, async (tx) => {
        await settle(tx, seen);
        return 0;
      });
    },
  };
}

function linesOf(db: Executor) {
  return db
    .selectFrom("session_line as line")
    .leftJoin("session", "session.key", "line.key")
    .selectAll("session")
    .select(["line.key as line", "line.written", "line.writing"]);
}

type LineColumns = Nullable<SessionColumns> & {
  readonly line: string;
  readonly written: string | null;
  readonly writing: string | null;
};

function toLine(row: LineColumns): SessionLine {
  const session = isSession(row) ? toSession(row) : null;
  return { key: row.line, session, written: row.written, writing: row.writing };
}

/** The join gives nulls where there is no session. */
function isSession(row: LineColumns): row is LineColumns & SessionColumns {
  return row.key !== null;
}

/**
 * Does `act` in transactions of `owner`, until one has changed fewer than ROWS_MAX rows; others get
 * their turn in between. False as soon as somebody else has claimed.
 */
async function asOwner(
  { transact }: StoreContext,
  owner: number,
  act: (tx: Executor) => Promise<number>,
): Promise<boolean> {
  for (;;) {
    const changed = await transact(async (tx) => {
      return (await ownerNow(tx)) === owner ? act(tx) : null;
    });
    if (changed === null) return false;
    if (changed < ROWS_MAX) return true;
    await othersTurn();
  }
}

async function othersTurn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

async function claim(tx: Executor): Promise<number> {
  const owner = (await ownerNow(tx)) + 1;
  const value = String(owner);
  await tx
    .insertInto("meta")
    .values({ key: OWNER, value })
    .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
    .execute();
  return owner;
}

async function ownerNow(tx: Executor): Promise<number> {
  const row = await tx
    .selectFrom("meta")
    .select("value")
    .where("key", "=", OWNER)
    .executeTakeFirst();
  return Number(row?.value ?? 0);
}

/** At least one: whoever announces nothing is to hear that somebody else has claimed, too. */
function inBatches<T>(all: readonly T[]): readonly (readonly T[])[] {
  const count = Math.max(1, Math.ceil(all.length / ROWS_MAX));
  return Array.from({ length: count }, (_, at) => all.slice(at * ROWS_MAX, (at + 1) * ROWS_MAX));
}

async function withdrawSome(tx: Executor): Promise<number> {
  const { numAffectedRows } = await sql`update session_line set writing = null
    where key in (select key from session_line where writing is not null limit ${ROWS_MAX})`.execute(
    tx,
  );
  return Number(numAffectedRows);
}

async function announceSome(
  tx: Executor,
  lines: readonly { readonly key: string; readonly digest: string }[],
): Promise<number> {
  await sql`update session_line set writing = given.digest
    from ${rowsOf(tx, ["key", "digest"], lines)}
    where session_line.key = given.key`.execute(tx);
  // All of it: there is nothing left to be called again for.
  return 0;
}

async function confirmSome(tx: Executor): Promise<number> {
  const gone = await sql`delete from session_line where key in (
      select key from session_line as line
      where writing = '' and not exists (select 1 from session where session.key = line.key)
      limit ${ROWS_MAX})`.execute(tx);
  if (Number(gone.numAffectedRows) >= ROWS_MAX) return ROWS_MAX;
  const { numAffectedRows } = await sql`update session_line
    set written = nullif(writing, ''), writing = null
    where key in (select key from session_line where writing is not null limit ${ROWS_MAX})`.execute(
    tx,
  );
  return Number(numAffectedRows);
}

async function settle(tx: Executor, seen: readonly SeenLine[]): Promise<void> {
  await putSessions(
    executeIn(tx),
    seen.flatMap(({ change }) => (change.kind === "put" ? [change.session] : [])),
  );
  for (const { key, change } of seen) {
    if (change.kind === "drop") await deleteSession(tx, key);
  }
  const lines = seen.map(({ key, written }) => ({ key, written }));
  await sql`update session_line set written = given.written, writing = null
    from ${rowsOf(tx, ["key", "written"], lines)}
    where session_line.key = given.key`.execute(tx);
}
