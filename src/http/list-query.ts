/** Which part of a list a caller wants. */
export interface ListQuery {
  readonly limit: number;
  /** The `next` of the page before; null for the first one. */
  readonly before: string | null;
}

const DEFAULT_LIMIT = 50;
const MOST = 200;

/** Reads `?limit&before`; a text instead of a query says what is wrong. */
export function readListQuery(query: {
  readonly limit?: string;
  readonly before?: string;
}): ListQuery | string {
  const limit = query.limit ?? String(DEFAULT_LIMIT);
  if (!/^[1-9]\d{0,2}$/.test(limit) || Number(limit) > MOST) {
    return `limit: must be an integer from 1 to ${MOST}`;
  }
  const before = query.before ?? null;
  if (before !== null && !/^[\x21-\x7e]{1,200}$/.test(before)) {
    return "before: must be the `next` of a page";
  }
  return { limit: Number(limit), before };
}
