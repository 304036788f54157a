import { type RawBuilder, sql } from "kysely";
import type { Executor } from "./context.ts";
import { engineOf } from "./engine.ts";

/** The texts of a list as a subquery of one column, bound as one parameter: the statement stays the same however long the list is. */
export function textsOf(db: Executor, list: readonly string[]): RawBuilder<string> {
  const json = JSON.stringify(list);
  return engineOf(db) === "postgres"
    ? sql<string>`(select value from json_array_elements_text(${json}::json) as value)`
    : sql<string>`(select value from json_each(${json}))`;
}

/** Rows of texts as a table `given` with these columns, bound as one parameter; null is null. */
export function rowsOf<Column extends string>(
  db: Executor,
  columns: readonly Column[],
  rows: readonly Readonly<Record<Column, string | null>>[],
): RawBuilder<unknown> {
  const json = JSON.stringify(rows);
  if (engineOf(db) === "postgres") {
    const typed = columns.map((column) => sql`${sql.ref(column)} text`);
    return sql`json_to_recordset(${json}::json) as given(${sql.join(typed)})`;
  }
  const read = columns.map((column) => {
    const path = sql.lit(`$.${column}`);
    return sql`json_extract(value, ${path}) as ${sql.ref(column)}`;
  });
  return sql`(select ${sql.join(read)} from json_each(${json})) as given`;
}
