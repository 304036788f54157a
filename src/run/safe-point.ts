/** So long a run that is to stop for the service's sake may take to come to a safe point. */
const SAFE_POINT_MS = 1000;

/** Where a conversation can be ended with nothing half done: between two tool calls. */
export interface SafePoint {
  /** How many tool calls are open now, more (1) or less (-1). */
  calling(more: number): void;
  /** The run is over: no end of the service is waited for any more. */
  end(): void;
}

/**
 * Calls `reached` with the reason of `ending` once that has aborted: at once between two tool calls,
 * in the middle of one when it is over or after a second, and then perhaps more than once.
 */
export function createSafePoint(ending: AbortSignal, reached: (reason: string) => void): SafePoint {
  let openCalls = 0;
  let patience: ReturnType<typeof setTimeout> | undefined;
  const tell = (): void => reached(String(ending.reason));
  const tellSoon = (): void => {
    if (openCalls === 0) tell();
    else patience = setTimeout(tell, SAFE_POINT_MS);
  };
  ending.addEventListener("abort", tellSoon, { once: true });
  if (ending.aborted) tellSoon();
  return {
    calling: (more) => {
      openCalls = Math.max(0, openCalls + more);
      if (openCalls === 0 && ending.aborted) tell();
    },
    end: () => {
      clearTimeout(patience);
      ending.removeEventListener("abort", tellSoon);
    },
  };
}
