/** How much of the time something may take, in milliseconds. */
export interface PaceOptions {
  /** Taken without a rest when it was quiet before. */
  readonly atOnceMs: number;
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
      debt += end - start;
      return Math.min(Math.max(debt - atOnceMs, 0), restMsMax);
    },
  };
}
