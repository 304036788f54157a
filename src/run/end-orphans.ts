import { outcomeOnRecord } from "../domain/outcome-on-record.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { Processes, ProcessIdentity } from "../ports/jail.ts";
import type { Log } from "../ports/observe.ts";
import type { RunView } from "../ports/store/runs.ts";
import type { Store } from "../ports/store.ts";
import { sessionKey } from "../sessions/key.ts";

/** A process that hangs in the kernel: nobody may touch its clone while it does. */
export interface Survivor {
  readonly item: ItemRef;
  readonly agent: string;
  readonly process: ProcessIdentity;
}

/**
 * At boot, before anything runs: ends every CLI that outlived the service (it goes on calling the
 * model when its parent is killed) and closes the runs it left unfinished: as what their recorded
 * effects make of them, else as cancelled. Their sessions stay; what else they did is looked up on the
 * forge by the next decision. Resolves with those that did not go away.
 */
export async function endOrphans(parts: {
  readonly store: Store;
  /** The name under which this state directory holds leases: what others have left is none of its business. */
  readonly owner: string;
  readonly processes: Processes;
  /** What the jail's processes carry, see Jail. */
  readonly tag: string;
  readonly now: () => number;
  readonly log: Log;
}): Promise<readonly Survivor[]> {
  const survivors: Survivor[] = [];
  const { store, owner, processes, tag, now, log } = parts;
  for (const { run, process } of await store.runs.unfinished(owner)) {
    const alive = process !== null && processes.isAlive(process);
    if (process !== null && alive) {
      await endOrphan(process, run.id, parts);
      const { repo, number, agent } = run;
      if (processes.isAlive(process)) survivors.push({ item: { repo, number }, agent, process });
    }
    log.warn("a run was left unfinished", { run: run.id, agent: run.agent, orphan: alive });
    const session = await store.sessions.get(sessionKey(run.agent, run.repo, run.number));
    if (run.endedAt !== null) {
      await keepEnd(run, store);
      continue;
    }
    const done = await doneBy(run, store);
    await store.runs.end({
      id: run.id,
      endedAt: now(),
      outcome: done ?? "cancelled",
      reason:
        done === null ? "the service was stopped" : "the service was stopped after its effect",
      session: session && { ...session, usdTotal: session.usdTotal + run.usd },
    });
  }
  // Bubblewrap that dies while it starts leaves a jail that nobody ends and that has no parent of
  // ours: its CLI begins seconds later, in the session and the clone of the next run (seen with 0.8.0).
  try {
    const strays = await processes.endTagged(tag);
    if (strays > 0) log.warn("processes of an earlier life were ended", { processes: strays });
  } catch (error) {
    log.error("processes of an earlier life could not be ended", { reason: String(error) });
  }
  return survivors;
}

/** Others have ended it; said once more, its process is known to be gone. What it has cost is in its session already. */
async function keepEnd(run: RunView, store: Store): Promise<void> {
  await store.runs.end({
    id: run.id,
    endedAt: run.endedAt ?? run.startedAt,
    outcome: run.outcome ?? "cancelled",
    reason: run.reason ?? "",
    session: await store.sessions.get(sessionKey(run.agent, run.repo, run.number)),
  });
}

async function doneBy(run: RunView, store: Store): Promise<ReturnType<typeof outcomeOnRecord>> {
  const { repo, number, fingerprint, skill } = run;
  const { effects } = await store.ledger.read({ repo, number });
  const prefix = `${repo}#${number}|${fingerprint}|`;
  return outcomeOnRecord(
    skill,
    effects.filter(({ key }) => key.startsWith(prefix)),
  );
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
