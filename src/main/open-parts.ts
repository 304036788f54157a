import { policyFor } from "../config/config.ts";
import { createMetrics, type MetricsOutput } from "../observe/metrics.ts";
import type { Gates } from "../ports/gates.ts";
import type { Processes } from "../ports/jail.ts";
import { endOrphans } from "../run/end-orphans.ts";
import { createProcesses } from "../sandbox/create-processes.ts";
import type { SessionStore } from "../sessions/store.ts";
import { type Administrators, createAdministrators } from "../work/administrators.ts";
import type { WorkDependencies } from "../work/dependencies.ts";
import { createSnapshotReader } from "../work/read-snapshot.ts";
import { watchForge } from "../work/watch-forge.ts";
import { auditedWriters } from "./audited-store.ts";
import { type ClaudeSide, openClaude } from "./open-claude.ts";
import { type ForgeSide, openForge } from "./open-forge.ts";
import { openGates } from "./open-gates.ts";
import { type Kept, openKept, openSessions } from "./open-kept.ts";
import { createPauseFile, type PauseFile } from "./pause-file.ts";
import { prefixNotices } from "./prefixes.ts";
import type { ServiceStart } from "./service-start.ts";

/** Every part of the service, each once: what the loop, the runs and the listeners are built from. */
export interface ServiceParts extends ServiceStart, Kept, ForgeSide, ClaudeSide {
  readonly processes: Processes;
  readonly sessions: SessionStore;
  readonly pauseFile: PauseFile;
  readonly metrics: MetricsOutput;
  readonly gates: Gates;
  readonly administrators: Administrators;
  readonly readSnapshot: WorkDependencies["readSnapshot"];
}

/** Opens every part, from what is kept outwards; `wake` makes the loop look for work. */
export async function openParts(
  start: ServiceStart,
  wake: () => void,
  open: AsyncDisposableStack,
): Promise<ServiceParts> {
  const { config, jail, log, replaced } = start;
  const kept = await openKept(start, open);
  const { store, owner, ownGates, audit, now } = kept;
  const processes = replaced.processes?.(createProcesses()) ?? createProcesses();
  const survivors = await endOrphans({ store, owner, processes, tag: jail.tag, now, log });
  const sessions = await openSessions({ ...start, ...kept }, open);
  for (const { message } of prefixNotices(config, await store.prefixes.current())) {
    log.warn(message);
  }
  const forgeSide = await openForge({ ...start, now, processes, survivors });
  const { forge } = forgeSide;
  open.defer(forgeSide.git.close);
  const gates = await openGates({ config, store, ownGates, forge, jail, wake, now, log });
  open.defer(gates.settled);
  const claudeSide = await openClaude({ ...start, ...kept, processes, sessions }, open);
  const reading = createSnapshotReader({
    ...{ reader: forge.reader, store, log },
    policy: (repo) => policyFor(config, repo),
  });
  return {
    ...{ ...start, ...kept, ...forgeSide, ...claudeSide, processes, sessions, gates },
    pauseFile: createPauseFile(config.stateDir),
    metrics: createMetrics({
      queueWaiting: async () => (await store.work.waiting()).waiting,
      sessions: async () => await store.sessions.count(),
      gates: () => gates.names().map((name) => ({ name, closed: gates.isClosed(name) })),
    }),
    administrators: createAdministrators({
      agents: () => config.agents,
      isAdministrator: async (agent, repo) => await forge.isAdministrator(agent, repo),
      ...{ now, log, audit },
    }),
    readSnapshot: watchForge(gates, auditedWriters(reading, audit)),
  };
}
