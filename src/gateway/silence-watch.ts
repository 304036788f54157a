/** The model's server has been silent for too long. */
export class Silence extends Error {
  override readonly name = "Silence";
}

/** Aborts `signal` unless something is heard in time; `stop` ends the watch. */
export interface SilenceWatch {
  readonly signal: AbortSignal;
  heard(): void;
  stop(): void;
}

/** Aborts with Silence when nothing is heard for `ms`, or with its reason when the agent has gone away. */
export function createSilenceWatch(ms: number, gone: AbortSignal): SilenceWatch {
  const controller = new AbortController();
  const leave = (): void => controller.abort(gone.reason);
  const start = (): ReturnType<typeof setTimeout> =>
    setTimeout(() => controller.abort(new Silence(`nothing heard for ${ms} ms`)), ms);
  let timer = start();
  gone.addEventListener("abort", leave, { once: true });
  if (gone.aborted) leave();
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(timer);
      timer = start();
    },
    stop() {
      clearTimeout(timer);
      gone.removeEventListener("abort", leave);
    },
  };
}
