import type { GatewayDoor } from "../ports/gateway.ts";
import type { RunDependencies } from "./dependencies.ts";

const EVERY_MS = 1000;

/** Writes down now and then what a run has used, so that a kill of the service costs a second of it at most. */
export interface MeterKeeper {
  /** Call it whenever something happens; it writes at most once a second, and only what is new. */
  note(): void;
  /** Resolves when no write is under way. */
  idle(): Promise<void>;
}

/** A keeper of the run's meter. A write that fails is logged: the end of the run writes the whole. */
export function keepMeter(
  deps: Pick<RunDependencies, "store" | "now" | "log">,
  run: string,
  door: Pick<GatewayDoor, "meter">,
): MeterKeeper {
  let written = 0;
  let wroteAt = deps.now();
  let writing: Promise<void> | null = null;
  return {
    note() {
      const { usd, tokens } = door.meter();
      if (usd === written || writing !== null || deps.now() - wroteAt < EVERY_MS) return;
      written = usd;
      wroteAt = deps.now();
      writing = deps.store.runs
        .metered(run, { usd, tokens })
        .catch((error: unknown) =>
          deps.log.warn("a meter was not kept", { run, error: `${error}` }),
        )
        .finally(() => {
          writing = null;
        });
    },
    async idle() {
      await writing;
    },
  };
}
