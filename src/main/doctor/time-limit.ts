import { ForgeFailure } from "../../ports/forge.ts";

/** The doctor's own time was up before the forge had answered, which says nothing about the forge. */
export class TimeRanOut extends ForgeFailure {
  constructor() {
    super("unavailable", TIME_RAN_OUT);
  }
}

/** What is found of a question that was not asked, or not answered, in time. */
export const TIME_RAN_OUT = "time ran out";

/** Aborts after `limitMs` milliseconds with a TimeRanOut as its reason; disposed of, at once. */
export function startTimeLimit(limitMs: number): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const end = (): void => controller.abort(new TimeRanOut());
  const timer = setTimeout(end, limitMs);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      end();
    },
  };
}
