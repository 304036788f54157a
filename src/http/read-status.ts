import type { PauseScope } from "../ports/store/work.ts";
import type { AdminOptions } from "./admin-options.ts";
import { gatesOut } from "./held-row.ts";

/**
 * What the service is doing: the answer of `/api/v1/status` and the head of the dashboard.
 * `paused` is the pause of everything, `paused_by_file` whether its file is there; `pauses` also lists those of a repository or an agent.
 */
export async function readStatus(
  options: Pick<AdminOptions, "store" | "status" | "gates" | "version">,
) {
  const { pausedByFile, administrators = [] } = options.status();
  const [runs, queue, stored] = await Promise.all([
    options.store.runs.totals(),
    options.store.work.waiting(),
    options.store.work.paused(),
  ]);
  const pauses = pausedByFile ? withAll(stored) : stored;
  return {
    version: options.version,
    paused: pauses.some((scope) => scope.kind === "all"),
    paused_by_file: pausedByFile,
    pauses,
    draining: options.status().draining,
    deliveries: options.status().deliveries,
    runs,
    queue,
    gates: gatesOut(options.gates),
    administrators,
  };
}

/** The shape `readStatus` resolves with. */
export type ServiceStatus = Awaited<ReturnType<typeof readStatus>>;

function withAll(stored: readonly PauseScope[]): readonly PauseScope[] {
  return stored.some(({ kind }) => kind === "all") ? stored : [{ kind: "all" }, ...stored];
}
