import type { CompiledQuery } from "kysely";
import type { Execute } from "./transact.ts";

/** Rows of one statement: SQLite takes 32,766 parameters, PostgreSQL 65,535. */
const ROWS_MAX = 1000;

/** Up to so many rows the text is kept: few fill it, and a large batch is rare. */
const KEPT_MAX = 32;

/** A statement over several rows whose text depends on nothing but how many they are. */
export interface ByCount<Row, Result> {
  readonly compile: (rows: readonly Row[]) => CompiledQuery<Result>;
  /** What stands in the places of the text, in its order. */
  readonly parameters: (rows: readonly Row[]) => readonly unknown[];
}

/**
 * Returns a function that carries out the statement for any number of rows and resolves with what it
 * returned. The usual texts are compiled once: doing it again for each batch cost a third of the time
 * of writing 16 deliveries, half of that of a single one (measured).
 */
export function byCount<Row, Result>({
  compile,
  parameters,
}: ByCount<Row, Result>): (execute: Execute, rows: readonly Row[]) => Promise<readonly Result[]> {
  const compiled = new Map<number, CompiledQuery<Result>>();
  const queryOf = (rows: readonly Row[]): CompiledQuery<Result> => {
    const query = compiled.get(rows.length) ?? compile(rows);
    if (rows.length <= KEPT_MAX) compiled.set(rows.length, query);
    return { ...query, parameters: parameters(rows) };
  };
  return async (execute, rows) => {
    const results: Result[] = [];
    for (let start = 0; start < rows.length; start += ROWS_MAX) {
      results.push(...(await execute(queryOf(rows.slice(start, start + ROWS_MAX)))));
    }
    return results;
  };
}
