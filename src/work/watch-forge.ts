import { ForgeFailure, type ForgeFailureKind } from "../ports/forge.ts";
import type { Gates, ProbeAnswer } from "../ports/gates.ts";

/** So many reads in a row without an answer make the whole forge suspect, and not one item. */
const FAILURES_MAX = 3;
/** Failures that say something of the forge, not of what was asked for. */
const OF_THE_FORGE: readonly ForgeFailureKind[] = ["unavailable", "rate_limited", "auth"];

/**
 * Makes a read of the forge that tells the gate `forge` of repeated failures. The gate is closed only
 * if the forge does not answer a question about itself either: one item whose read fails again and
 * again holds up nobody else.
 */
export function watchForge<A, T>(
  gates: Pick<Gates, "suspect">,
  read: (of: A) => Promise<T>,
): (of: A) => Promise<T> {
  let failures = 0;
  return async (of) => {
    try {
      const answer = await read(of);
      failures = 0;
      return answer;
    } catch (error) {
      if (isOfTheForge(error)) {
        failures += 1;
        if (failures >= FAILURES_MAX) {
          failures = 0;
          await gates.suspect("forge");
        }
      }
      throw error;
    }
  };
}

/** Whether a failure makes the forge itself suspect, and not only what was asked for. */
export function isOfTheForge(error: unknown): boolean {
  return error instanceof ForgeFailure && OF_THE_FORGE.includes(error.kind);
}

/** Whether the forge answers a question about itself. */
export async function probeForge(version: () => Promise<string>): Promise<ProbeAnswer> {
  try {
    await version();
    return { ok: true };
  } catch (error) {
    if (!(error instanceof ForgeFailure)) throw error;
    const { kind } = error;
    const limited = kind === "rate_limited" ? "rate_limit" : "unavailable";
    const reason = kind === "auth" ? kind : limited;
    return { ok: false, reason, until: error.retryAt };
  }
}
