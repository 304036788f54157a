/** Whether something is to be said now, and how often it was passed over since it was said last. */
export interface Turn {
  readonly now: boolean;
  readonly skipped: number;
}

const MINUTE_MS = 60_000;
/** Reasons come from a closed set; should one not, it must not fill the memory. */
const REASONS_MAX = 100;

/** Lets each reason pass once in every minute of the clock (epoch milliseconds come in) and counts the rest. */
export function createOncePerMinute(): (reason: string, at: number) => Turn {
  const reasons = new Map<string, { minute: number; skipped: number }>();
  return (reason, at) => {
    const minute = Math.floor(at / MINUTE_MS);
    const key = reasons.has(reason) || reasons.size < REASONS_MAX ? reason : "other";
    const entry = reasons.get(key);
    if (entry?.minute === minute) {
      entry.skipped += 1;
      return { now: false, skipped: entry.skipped };
    }
    reasons.set(key, { minute, skipped: 0 });
    return { now: true, skipped: entry?.skipped ?? 0 };
  };
}
