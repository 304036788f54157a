import { setTimeout as wait } from "node:timers/promises";
import type { Log } from "../ports/observe.ts";
import { waitAtMost } from "../time/wait-at-most.ts";
import type { WorkDependencies } from "../work/dependencies.ts";
import { type SweepState, sweep } from "../work/sweep.ts";

const SHUTDOWN_MS_MAX = 18_000;

/** How much longer than until its next sweep a process stays the one who sweeps. */
const SWEEP_SPARE_MS = 30_000;

/** Sweeps at once and then every `everyMs` until the signal, unless another process does; a sweep that breaks does not end it. */
export async function sweepForEver(options: {
  deps: WorkDependencies;
  /** The name under which this process holds leases. */
  owner: string;
  everyMs: number;
  signal: AbortSignal;
  onState: (state: SweepState) => void;
}): Promise<void> {
  const { deps, owner, everyMs, signal, onState } = options;
  while (!signal.aborted) {
    try {
      const isOurs = await deps.store.work.claimSweep(owner, everyMs + SWEEP_SPARE_MS);
      onState(!isOurs || (await sweep(deps)) ? "done" : "failed");
    } catch (error) {
      onState("failed");
      deps.log.error("the sweep broke", { reason: String(error) });
    }
    await waitAtMost(everyMs, signal);
  }
}

/** Waits for the last runs, but not for ever: their processes end with ours. */
export async function withinShutdown(drained: Promise<unknown>, log: Log): Promise<void> {
  const patience = new AbortController();
  const late = wait(SHUTDOWN_MS_MAX, "late", { signal: patience.signal }).catch(() => "in time");
  if ((await Promise.race([drained, late])) === "late") log.warn("not everything ended in time");
  patience.abort();
}

/**
 * Ends the process as if it were killed: what it knows may differ from what the disk has, and only a
 * new start reads what is there. Nothing but that is safe (a failed sync may be followed by one that
 * says all is well), and a start after a kill is a path like any other.
 */
export function endUnsynced(log: Log): void {
  log.error("the disk did not confirm a write of the database: ending at once", {
    remedy:
      "look at the disk (dmesg), then start again; the forge is asked anew for what is missing",
  });
  process.exit(1);
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export async function untilSignal(log: Log): Promise<void> {
  await new Promise<void>((resolve) => {
    const first = (): void => {
      resolve();
      const again = (): void => {
        log.warn("stopping at once");
        process.exit(1);
      };
      process.on("SIGTERM", again);
      process.on("SIGINT", again);
    };
    process.once("SIGTERM", first);
    process.once("SIGINT", first);
  });
}
