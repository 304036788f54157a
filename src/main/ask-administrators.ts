import type { Config } from "../config/config.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { Log } from "../ports/observe.ts";
import { waitAtMost } from "../time/wait-at-most.ts";
import type { Administrators } from "../work/administrators.ts";

const BETWEEN_MS = 1_000;

/**
 * Asks once, at the start, for every repository that is named in full; those of an `owner/*` are
 * asked about before their first run. A forge that does not answer is asked again then.
 */
export async function askAdministrators(
  config: Config,
  parts: {
    readonly administrators: Administrators;
    readonly log: Log;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const named = config.repositories.filter(({ pattern }) => !pattern.endsWith("/*"));
  for (const [index, { pattern }] of named.entries()) {
    // Its calls must not stand in the way of work.
    if (index > 0) await waitAtMost(BETWEEN_MS, parts.signal);
    if (parts.signal.aborted) return;
    try {
      await parts.administrators.of(pattern);
    } catch (error) {
      if (!(error instanceof ForgeFailure)) throw error;
      parts.log.warn("whether agents are administrators is asked before the next run", {
        repo: pattern,
        reason: error.message,
      });
      return;
    }
  }
}
