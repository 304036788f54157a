import type { Config } from "../config/config.ts";
import type { TranscriptStore } from "../ports/transcripts.ts";
import { retainForEver, type SessionHomes } from "../sessions/retention.ts";
import type { WorkDependencies } from "../work/dependencies.ts";
import { diskLimits, makeRoomForEver } from "../work/make-room.ts";
import type { SweepState } from "../work/sweep.ts";
import { tidyMetaForEver } from "../work/tidy-meta.ts";
import { tidyForEver } from "../work/tidy-store.ts";
import { sweepForEver } from "./lifecycle.ts";

const DAY_MS = 24 * 60 * 60_000;

/**
 * What goes on beside the work until the signal: sweeps, forgetting old deliveries, room on the
 * disk, old sessions. Resolves when all of it has ended.
 */
export async function upkeep(options: {
  readonly config: Config;
  readonly work: WorkDependencies;
  /** The name under which this process holds leases. */
  readonly owner: string;
  readonly homes: SessionHomes;
  readonly transcripts: TranscriptStore | null;
  readonly sessionsChanged: () => void;
  readonly onSweep: (state: SweepState) => void;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { config, work, owner, homes, transcripts, sessionsChanged, onSweep, signal } = options;
  const { store, now, log } = work;
  const { limits } = config;
  await Promise.all([
    sweepForEver({
      ...{ deps: work, owner, signal, onState: onSweep },
      everyMs: config.sweepSeconds * 1000,
    }),
    tidyForEver({ ...{ store, now, log, signal }, deliveryMs: limits.deliveryDays * DAY_MS }),
    tidyMetaForEver({
      ...{ store, policy: work.policy, policies: work.policies, now, log, signal },
      unneededMs: limits.deliveryDays * DAY_MS,
    }),
    makeRoomForEver(work, { limits: () => diskLimits(limits), signal }),
    retainForEver({
      ...{ store, homes, transcripts, owner, now, log, sessionsChanged, signal },
      unusedMs: limits.transcriptDays * DAY_MS,
    }),
  ]);
}
