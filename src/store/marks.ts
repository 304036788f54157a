import type { Mark, MarkMove, MarkRow, MarkTarget } from "../ports/store/marks.ts";
import type { WorkStore } from "../ports/store/work.ts";
import { byCount } from "./by-count.ts";
import type { Executor, StoreContext } from "./context.ts";
import { markItems } from "./mark-items.ts";
import { createTakeSequence } from "./sequence.ts";
import type { MarkTable } from "./tables.ts";
import type { Execute } from "./transact.ts";

/** The part of the work store that keeps marks until it is known to which items they belong. */
export function createMarks(
  context: StoreContext,
): Pick<WorkStore, "mark" | "unresolved" | "postpone" | "resolve"> {
  const addMarks = createAddMarks(context);
  return {
    async mark(marks, urgent) {
      if (marks.length === 0) return;
      await context.transactCompiled((execute) =>
        addMarks(execute, marks, { urgent, at: context.now() }),
      );
      context.wake();
    },
    async unresolved(limit) {
      const rows = await context.db
        .selectFrom("mark")
        .selectAll()
        .where((eb) => eb.or([eb("not_before", "is", null), eb("not_before", "<=", context.now())]))
        .orderBy((eb) => eb.case().when("urgent_seq", "is", null).then(1).else(0).end())
        .orderBy("urgent_seq")
        .orderBy("first_seq")
        .limit(Math.max(1, Math.trunc(limit)))
        .execute();
      return rows.map(toMarkRow);
    },
    async postpone(row, until) {
      const { repo, kind, value } = toRow(row.mark, 0, { urgent: false, at: 0 });
      await context.db
        .updateTable("mark")
        .set((eb) => ({ not_before: until, tries: eb("tries", "+", 1) }))
        .where((eb) => eb.and({ repo, kind, value }))
        .execute();
    },
    async resolve(moves) {
      if (moves.length === 0) return;
      await context.transactQueue(async (tx) => {
        for (const move of moves) await moveMark(tx, move);
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

async function moveMark(tx: Executor, { row, items }: MarkMove): Promise<void> {
  const found = await markQuery(tx, row.mark).selectAll().executeTakeFirst();
  // Somebody else has moved it already.
  if (found === undefined) return;
  await markItems(tx, items, {
    seq: found.urgent_seq ?? found.first_seq,
    urgent: found.urgent_seq !== null,
    at: found.first_at,
  });
  await settleMark(tx, row, found);
}

/** Removes what was read; a mark that came meanwhile stays, as if it were the first. */
async function settleMark(tx: Executor, row: MarkRow, found: MarkTable): Promise<void> {
  const { repo, kind, value } = found;
  if (found.count === row.count) {
    await tx
      .deleteFrom("mark")
      .where((eb) => eb.and({ repo, kind, value }))
      .execute();
    return;
  }
  await tx
    .updateTable("mark")
    .set({
      first_seq: found.count,
      urgent_seq: found.urgent_seq === null ? null : found.count,
      not_before: null,
      tries: 0,
    })
    .where((eb) => eb.and({ repo, kind, value }))
    .execute();
}

function markQuery(tx: Executor, mark: Mark) {
  const { repo, kind, value } = toRow(mark, 0, { urgent: false, at: 0 });
  return tx.selectFrom("mark").where((eb) => eb.and({ repo, kind, value }));
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
