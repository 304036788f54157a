import { randomBytes } from "node:crypto";
import packageFile from "../../package.json" with { type: "json" };
import { adminToken } from "../config/admin-token.ts";
import { type Config, repositoryFor } from "../config/config.ts";
import { isPaused } from "../domain/decision.ts";
import { createAdminListener } from "../http/admin-listener.ts";
import type { AdminOptions } from "../http/admin-options.ts";
import type { Listener } from "../http/serve.ts";
import type { PauseScope } from "../ports/store/work.ts";
import type { Control } from "./control.ts";
import { markAgain } from "./look-again.ts";
import type { ServiceParts } from "./open-parts.ts";
import { pause } from "./pause-file.ts";

/** Opens the admin listener; its token is a secret from then on. `open` stops it. */
export async function openAdmin(
  parts: ServiceParts,
  given: Pick<AdminOptions, "readiness"> & {
    readonly control: Control;
    readonly deliveries: () => ReturnType<AdminOptions["status"]>["deliveries"];
  },
  open: AsyncDisposableStack,
): Promise<Listener> {
  const { config, store, sessionControl, gates, metrics, pauseFile, audit, now, log } = parts;
  const { control, deliveries, readiness } = given;
  const token = await adminToken(config, randomBytes);
  parts.redactor.add([token.reveal()]);
  parts.secrets.add([token.reveal()]);
  const listener = createAdminListener({
    ...{ store, gates, readiness, audit, now, log },
    listen: config.admin.listen,
    hosts: config.admin.hosts,
    token: () => token.reveal(),
    sessions: sessionControl,
    isConfigured: (scope) => isConfigured(scope, config),
    control: {
      ...control.words,
      pause: async (scope) => await pause(scope, { pauseFile, store, log }),
      resume: async (scope) => await resume(scope, control, parts),
    },
    status: () => ({
      deliveries: deliveries(),
      draining: control.draining(),
      pausedByFile: pauseFile.isOn(),
      administrators: parts.administrators.known(),
    }),
    metricsText: async () => (await metrics.render()).body,
    version: packageFile.version,
  });
  open.defer(async () => await listener.stop(true));
  return listener;
}

function isConfigured(scope: PauseScope, config: Config): boolean {
  switch (scope.kind) {
    case "all":
      return true;
    case "repo":
      return repositoryFor(config, scope.repo) !== null;
    case "agent":
      return config.agents.some(({ name }) => name === scope.agent);
  }
}

async function resume(
  scope: PauseScope,
  control: Control,
  { store, pauseFile }: Pick<ServiceParts, "store" | "pauseFile">,
): Promise<void> {
  if (scope.kind === "all") control.undrain();
  await store.work.pause(scope, false);
  if (scope.kind === "all") await pauseFile.remove();
  // What was decided while paused is asked again now, not at the next sweep.
  await markAgain(store, ({ reason }) => isPaused(reason));
}
