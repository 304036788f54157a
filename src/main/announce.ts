import { rm } from "node:fs/promises";
import { join } from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import type { ServiceParts } from "./open-parts.ts";
import { writeServeFile } from "./state-files.ts";

/** Says in `serve.json` and in the log where the service listens; `open` removes the file. */
export async function announce(
  addresses: { readonly webhook: string; readonly admin: string },
  { config, now, log }: Pick<ServiceParts, "config" | "now" | "log">,
  open: AsyncDisposableStack,
): Promise<void> {
  const { webhook, admin } = addresses;
  const file = join(config.stateDir, "serve.json");
  open.defer(async () => await rm(file, { force: true }));
  await writeServeFile(file, {
    pid: process.pid,
    version: packageFile.version,
    started_at: new Date(now()).toISOString(),
    webhook: `${webhook}${config.webhook.path}`,
    admin,
  });
  log.info("serving", { webhook, admin, pid: process.pid });
}
