import { isPaused } from "../domain/decision.ts";
import type { MetaStore } from "../ports/store/meta.ts";
import { markAgain } from "./look-again.ts";
import type { ServiceParts } from "./open-parts.ts";
import { watchPauseFile } from "./pause-file.ts";

const PAUSED_BY_FILE = "paused_by_file";

/** Whether the pause file is what this state directory's service has acted upon last. */
export async function wasPausedByFile(own: MetaStore): Promise<boolean> {
  return (await own.get(PAUSED_BY_FILE)) === "1";
}

/** Until the signal: says in log and audit when the pause file comes or goes, and lets the work go on when it is gone. */
export async function followPauseFile(
  parts: Pick<ServiceParts, "pauseFile" | "own" | "store" | "audit" | "log">,
  options: { readonly wasOn: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const { pauseFile, own, store, audit, log } = parts;
  await watchPauseFile(pauseFile, {
    ...options,
    changed: async (isOn) => {
      log.warn(
        isOn ? "everything is paused by the file in the state directory" : "the pause file is gone",
      );
      audit.append(isOn ? "paused_by_file" : "pause_file_gone", {});
      await own.set(PAUSED_BY_FILE, isOn ? "1" : "0");
      // What was decided meanwhile is asked again now, not at the next sweep.
      if (!isOn) await markAgain(store, ({ reason }) => isPaused(reason));
    },
    failed: (error) => log.warn("the pause file could not be followed", { reason: String(error) }),
  });
}
