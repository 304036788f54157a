import { StoreFailure } from "../ports/store/failure.ts";
import type { Page } from "../ports/store/page.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { ListQuery } from "./list-query.ts";

/**
 * One page of the sessions, the last used first. `next` is `<updated_at ms>:<key>` of its last row,
 * so that a page stays right when a session is dropped meanwhile. Throws StoreFailure `cursor`.
 */
export function pageOfSessions(rows: readonly SessionRow[], query: ListQuery): Page<SessionRow> {
  const sorted = rows.toSorted(byLastUse);
  const before = query.before === null ? null : readCursor(query.before);
  const rest = before === null ? sorted : sorted.filter((row) => byLastUse(row, before) > 0);
  const page = rest.slice(0, query.limit);
  const last = page.at(-1);
  const hasMore = rest.length > page.length && last !== undefined;
  return { rows: page, next: hasMore ? `${last.updatedAt}:${last.key}` : null };
}

type Place = Pick<SessionRow, "updatedAt" | "key">;

function byLastUse(a: Place, b: Place): number {
  if (a.updatedAt !== b.updatedAt) {
    return b.updatedAt - a.updatedAt;
  }
  return a.key < b.key ? -1 : Number(a.key > b.key);
}

function readCursor(cursor: string): Place {
  const match = /^(\d{1,16}):(.+)$/.exec(cursor);
  if (match?.[2] === undefined) {
    throw new StoreFailure("cursor", "before: must be the `next` of a page");
  }
  return { updatedAt: Number(match[1]), key: match[2] };
}
