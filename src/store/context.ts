import type { Kysely, Transaction } from "kysely";
import { StoreFailure } from "../ports/store/failure.ts";
import type { Tables } from "./tables.ts";
import type { Ways } from "./transact.ts";

/** Reports what the store survived, with fixed keys; the message is static. */
export type Warn = (message: string, fields: Readonly<Record<string, unknown>>) => void;

/** What every part of the store works with. */
export interface StoreContext extends Ways<Tables> {
  readonly db: Kysely<Tables>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly warn: Warn;
  /** Tells the listeners that work may have become due; call it after the commit. */
  readonly wake: () => void;
}

/** The database itself or a transaction of it. */
export type Executor = Kysely<Tables> | Transaction<Tables>;

const PAGE_MAX = 500;

/** A limit of a list as it is carried out: a whole number from 1 to 500. */
export function pageLimit(limit: number): number {
  return Number.isFinite(limit) ? Math.min(Math.max(Math.trunc(limit), 1), PAGE_MAX) : PAGE_MAX;
}

/** The cursor of a list as the number it stands for; null begins at the newest. Throws StoreFailure `cursor`. */
export function pageCursor(before: string | null): number {
  if (before === null) return Number.MAX_SAFE_INTEGER;
  if (!/^[0-9]{1,15}$/.test(before)) {
    throw new StoreFailure(
      "cursor",
      `before: ${JSON.stringify(before.slice(0, 40))} is no cursor of this list; pass the value of "next" of an earlier answer`,
    );
  }
  return Number(before);
}

/** Cuts the one row too many off that tells whether there is a next page. */
export function pageOf<Row, T>(
  rows: readonly Row[],
  limit: number,
  read: { cursor: (row: Row) => number; value: (row: Row) => T },
): { readonly rows: readonly T[]; readonly next: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    rows: shown.map(read.value),
    next: rows.length > limit && last !== undefined ? String(read.cursor(last)) : null,
  };
}
