import { setTimeout as wait } from "node:timers/promises";

/** Waits `ms` milliseconds, or until the signal aborts if that is earlier; never rejects for the latter. */
export async function waitAtMost(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
