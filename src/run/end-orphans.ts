import type { Processes, ProcessIdentity } from "../ports/jail.ts";
import type { Log } from "../ports/observe.ts";
import type { Store } from "../ports/store.ts";
import { sessionKey } from "../sessions/key.ts";

/**
 * At boot, before anything runs: ends every CLI that outlived the service (it goes on calling the
 * model when its parent is killed) and closes the runs it left unfinished. Their sessions stay; what
 * they did is looked up on the forge by the next decision.
 */
export async function endOrphans(parts: {
  readonly store: Store;
  readonly processes: Processes;
  readonly now: () => number;
  readonly log: Log;
}): Promise<void> {
  const { store, processes, now, log } = parts;
  for (const { run, process } of await store.runs.unfinished()) {
    const alive = process !== null && processes.isAlive(process);
    if (process !== null && alive) await endOrphan(process, run.id, parts);
    log.warn("a run was left unfinished", { run: run.id, agent: run.agent, orphan: alive });
    const session = await store.sessions.get(sessionKey(run.agent, run.repo, run.number));
    await store.runs.end({
      id: run.id,
      endedAt: now(),
      outcome: "cancelled",
      reason: "the service was stopped",
      session: session && { ...session, usdTotal: session.usdTotal + run.usd },
    });
  }
}

/** A process that cannot be ended must not keep the service from starting: its run's lease is gone. */
async function endOrphan(
  process: ProcessIdentity,
  run: string,
  { processes, log }: { processes: Processes; log: Log },
): Promise<void> {
  try {
    await processes.end(process);
  } catch (error) {
    log.error("an orphan could not be ended", { run, pid: process.pid, reason: String(error) });
  }
}
