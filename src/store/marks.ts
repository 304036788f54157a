import type { CompiledQuery, ExpressionBuilder } from "kysely";
import type { Mark, MarkMove, MarkRow, MarkTarget } from "../ports/store/marks.ts";
import type { WorkStore } from "../ports/store/work.ts";
import { byCount } from "./by-count.ts";
import type { StoreContext } from "./context.ts";
import { createMarkItems } from "./mark-items.ts";
import { type Place, places, prepare } from "./prepare.ts";
import { createTakeSequence } from "./sequence.ts";
import type { MarkTable, Tables } from "./tables.ts";
import { type Execute, firstOf } from "./transact.ts";

/** The part of the work store that keeps marks until it is known to which items they belong. */
export function createMarks(
  context: StoreContext,
): Pick<WorkStore, "mark" | "unresolved" | "postpone" | "resolve"> {
  const addMarks = createAddMarks(context);
  const findUnresolved = createFindUnresolved(context);
  const moveMark = createMoveMark(context);
  return {
    async mark(marks, urgent) {
      if (marks.length === 0) return;
      await context.transactCompiled((execute) =>
        addMarks(execute, marks, { urgent, at: context.now() }),
      );
      context.wake();
    },
    async unresolved(limit) {
      const count = Math.max(1, Math.trunc(limit));
      const rows = await context.read(findUnresolved(context.now(), count));
      return rows.slice(0, count).map(toMarkRow);
    },
    async postpone(row, until) {
      const later = context.db
        .updateTable("mark")
        .set((eb) => ({ not_before: until, tries: eb("tries", "+", 1) }))
        .where((eb) => eb.and(keyOf(row.mark)));
      await context.writeQueue(later.compile());
    },
    async resolve(moves) {
      if (moves.length === 0) return;
      await context.transactQueue(async (execute) => {
        for (const move of moves) await moveMark(execute, move);
      });
      context.wake();
    },
  };
}

/** Adds marks inside a transaction; several of one target become one row. */
export type AddMarks = (execute: Execute, marks: readonly Mark[], when: MarkTime) => Promise<void>;

interface MarkTime {
  /** Goes before those of the sweep. */
  readonly urgent: boolean;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Makes the function that adds marks. */
export function createAddMarks({ db }: Pick<StoreContext, "db">): AddMarks {
  const upsert = byCount<MarkTable, unknown>({
    compile: (rows) =>
      db
        .insertInto("mark")
        .values(rows)
        .onConflict((conflict) =>
          conflict.columns(["repo", "kind", "value"]).doUpdateSet((eb) => ({
            count: eb.ref("excluded.count"),
            urgent_seq: eb.fn.coalesce("mark.urgent_seq", "excluded.urgent_seq"),
          })),
        )
        .compile(),
    parameters: (rows) => rows.flatMap((row) => Object.values(row)),
  });
  const takeSequence = createTakeSequence(db);
  return async (execute, marks, when) => {
    if (marks.length === 0) return;
    const last = await takeSequence(execute, marks.length);
    const rows = new Map<string, MarkTable>();
    marks.forEach((mark, index) => {
      const row = toRow(mark, last - marks.length + 1 + index, when);
      const key = `${row.kind} ${row.repo} ${row.value}`;
      const earlier = rows.get(key);
      rows.set(key, earlier === undefined ? row : { ...earlier, count: row.count });
    });
    await upsert(execute, [...rows.values()]);
  };
}

/** So many marks, and no others, are asked for by the loop. */
const USUAL_LIMIT = 50;

/** Makes the query of those that may be asked about, urgent ones first; `count` of them or more. */
function createFindUnresolved({
  db,
}: Pick<StoreContext, "db">): (now: number, count: number) => CompiledQuery<MarkTable> {
  const find = (place: Place<{ now: number }>, count: number) =>
    db
      .selectFrom("mark")
      .selectAll()
      .where((eb) => eb.or([eb("not_before", "is", null), eb("not_before", "<=", place("now"))]))
      .orderBy((eb) => eb.case().when("urgent_seq", "is", null).then(1).else(0).end())
      .orderBy("urgent_seq")
      .orderBy("first_seq")
      .limit(count);
  const findUsual = prepare(db, (place: Place<{ now: number }>) => find(place, USUAL_LIMIT));
  return (now, count) =>
    count <= USUAL_LIMIT ? findUsual({ now }) : find(() => now, count).compile();
}

type MarkKey = Pick<MarkTable, "repo" | "kind" | "value">;

/** What a mark that is moved says to its items. */
const MOVED = ["count", "first_seq", "urgent_seq", "first_at"] as const;

/** Makes the function that gives a mark to its items, inside a transaction. */
function createMoveMark({
  db,
}: Pick<StoreContext, "db">): (execute: Execute, move: MarkMove) => Promise<void> {
  const remove = prepare(db, (place: Place<MarkKey & { count: number }>) =>
    db.deleteFrom("mark").where(isMark(place)).where("count", "=", place("count")).returning(MOVED),
  );
  const find = prepare(db, (place: Place<MarkKey>) =>
    db.selectFrom("mark").select(MOVED).where(isMark(place)),
  );
  const restart = prepare(db, (place: Place<MarkKey & { seq: number; urgent: number | null }>) =>
    db
      .updateTable("mark")
      .set({ first_seq: place("seq"), urgent_seq: place("urgent"), not_before: null, tries: 0 })
      .where(isMark(place)),
  );
  const markItems = createMarkItems(db);

  return async (execute, { row, items }) => {
    const key = keyOf(row.mark);
    const removed = await firstOf(execute(remove({ ...key, count: row.count })));
    // Mostly nothing has marked it meanwhile.
    const found = removed ?? (await firstOf(execute(find(key))));
    // Somebody else has moved it already.
    if (found === undefined) return;
    await markItems(execute, items, {
      seq: found.urgent_seq ?? found.first_seq,
      urgent: found.urgent_seq !== null,
      at: found.first_at,
    });
    if (removed !== undefined) return;
    // A mark that came meanwhile stays, as if it were the first.
    const urgent = found.urgent_seq === null ? null : found.count;
    await execute(restart({ ...key, seq: found.count, urgent }));
  };
}

function isMark(place: Place<MarkKey>) {
  return (eb: ExpressionBuilder<Tables, "mark">) =>
    eb.and(places(place, ["repo", "kind", "value"]));
}

function keyOf(mark: Mark): MarkKey {
  const { repo, kind, value } = toRow(mark, 0, { urgent: false, at: 0 });
  return { repo, kind, value };
}

/** Always with the same columns in the same order: so stand the parameters of the insert. */
function toRow(mark: Mark, seq: number, when: MarkTime): MarkTable {
  return {
    repo: mark.repo.toLowerCase(),
    kind: mark.target.kind,
    value: targetValue(mark.target),
    count: seq,
    first_seq: seq,
    urgent_seq: when.urgent ? seq : null,
    first_at: when.at,
    not_before: null,
    tries: 0,
  };
}

function targetValue(target: MarkTarget): string {
  switch (target.kind) {
    case "number":
      return String(target.number);
    case "branch":
      return target.branch;
    case "sha":
      return target.sha;
  }
}

function toMarkRow(row: MarkTable): MarkRow {
  return { mark: { repo: row.repo, target: toTarget(row) }, count: row.count, tries: row.tries };
}

function toTarget(row: MarkTable): MarkTarget {
  switch (row.kind) {
    case "number":
      return { kind: "number", number: Number(row.value) };
    case "branch":
      return { kind: "branch", branch: row.value };
    case "sha":
      return { kind: "sha", sha: row.value };
  }
}
