/** How much of the time something may take, in milliseconds. */
export interface PaceOptions {
  /** Taken without a rest when it was quiet before. */
  readonly atOnceMs: number;
  /** No rest is longer, so work whose pieces are longer than this takes more than half. */
  readonly restMsMax: number;
  /** A clock that never goes back, in milliseconds. */
  readonly clock: () => number;
}

/**
 * Says how long to rest so that the work takes half of the time for good, `atOnceMs` more at once.
 * `began()` before a piece of work; `rest()` after it gives the milliseconds to wait.
 */
export function createPace({ atOnceMs, restMsMax, clock }: PaceOptions): {
  began(): void;
  rest(): number;
} {
  let start = clock();
  let end = start;
  let debt = 0;
  return {
    began() {
      start = clock();
      debt = Math.max(0, debt - (start - end));
    },
    rest() {
      end = clock();
      // What a rest cannot pay is not owed: else hours of long work would be rested for long after.
      debt = Math.min(debt + end - start, atOnceMs + restMsMax);
      return Math.min(Math.max(debt - atOnceMs, 0), restMsMax);
    },
  };
}
