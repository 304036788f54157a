import type { AdminOptions } from "./admin-options.ts";

/**
 * What the service is doing: the answer of `/api/v1/status` and the head of the dashboard.
 * `paused` is the pause of everything; `pauses` also lists those of a repository or an agent.
 */
export async function readStatus(options: Pick<AdminOptions, "store" | "status" | "version">) {
  const [runs, queue, pauses] = await Promise.all([
    options.store.runs.totals(),
    options.store.work.waiting(),
    options.store.work.paused(),
  ]);
  return {
    version: options.version,
    paused: pauses.some((scope) => scope.kind === "all"),
    pauses,
    deliveries: options.status().deliveries,
    runs,
    queue,
  };
}

/** The shape `readStatus` resolves with. */
export type ServiceStatus = Awaited<ReturnType<typeof readStatus>>;
