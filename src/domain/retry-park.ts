import { type Backoff, backoffMs } from "./backoff.ts";
import type { Park } from "./ledger.ts";

/** What an order waits for that concerns nobody else. */
export interface RetryWish extends Pick<Park, "row" | "name" | "reason"> {
  /** When the other side says it is there again, epoch milliseconds; null: after our own wait. */
  readonly until: number | null;
  readonly backoff: Backoff;
}

/**
 * A wait before the same order is tried again, which is no failure: the longer, the more often the
 * same thing kept it from its work. `earlier`: the item's parks until now; `chance`: a random number
 * from 0 up to 1.
 */
export function retryPark(
  wish: RetryWish,
  state: { readonly earlier: readonly Park[]; readonly now: number; readonly chance: number },
): Park {
  const { row, name, reason, until, backoff } = wish;
  const { earlier, now, chance } = state;
  const last = earlier.find((park) => park.row === row && park.name === name);
  const attempt = (last?.attempt ?? 0) + 1;
  return {
    row,
    name,
    reason,
    until: until ?? now + backoffMs(attempt, backoff, chance),
    since: last?.since ?? now,
    attempt,
  };
}
