/** How long to wait between attempts: the first wait and the longest, in milliseconds. */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** A wait is up to this share of it shorter or longer, so that many do not come back at once. */
const JITTER = 0.2;

/**
 * The wait after attempt `attempt` (1 for the first) in milliseconds: it doubles with each attempt up
 * to the longest. `chance` is a random number from 0 up to, not including, 1.
 */
export function backoffMs(attempt: number, { firstMs, mostMs }: Backoff, chance: number): number {
  const doublings = Math.min(Math.max(attempt, 1) - 1, 30);
  const wait = Math.min(firstMs * 2 ** doublings, mostMs);
  return Math.round(wait * (1 - JITTER + 2 * JITTER * chance));
}
