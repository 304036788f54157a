import { type Config, repositoryFor } from "../config/config.ts";
import { createPublicListener } from "../http/public-listener.ts";
import type { Listener } from "../http/serve.ts";
import { createIntake } from "../intake/create-intake.ts";
import type { Audit, Log, Metrics } from "../ports/observe.ts";
import type { Store } from "../ports/store.ts";

const WAITING_REFRESH_MS = 200;
/** What is written to find out whether anything can be. */
const TRIAL_KEY = "intake:trial";

/** The public side of the service. */
export interface OpenIntake {
  readonly listener: Listener;
  /** The database answers, what came last could be recorded or something could since, and nobody is closing. */
  isReady(): boolean;
  /** From now on what comes is sent away. */
  close(): void;
  /** Ends the listener and the counting. */
  stop(): Promise<void>;
}

/** Opens the public listener with the intake behind it. */
export function openIntake(options: {
  readonly config: Config;
  readonly store: Store;
  readonly now: () => number;
  readonly metrics: Pick<Metrics, "delivery">;
  readonly audit: Audit;
  readonly log: Log;
}): OpenIntake {
  const { config, store, now, metrics, audit, log } = options;
  const queue = createQueueWatch({ store, now, log });
  let closing = false;
  const intake = createIntake({
    kind: config.forge.kind,
    path: config.webhook.path,
    secrets: () => config.webhook.secrets.map((secret) => Buffer.from(secret.reveal())),
    bodyBytes: config.limits.bodyBytes,
    queueLimit: config.limits.queue,
    waiting: queue.waiting,
    closing: () => closing,
    agents: () => config.agents,
    concerns: (repo) => repositoryFor(config, repo) !== null,
    deliveries: { record: queue.record },
    now,
    metrics,
    audit,
    log,
  });
  const listener = createPublicListener({ listen: config.webhook.listen, intake, log });
  // Only now: where the address is taken, nobody would end it, and it the process neither.
  const refresh = setInterval(queue.refresh, WAITING_REFRESH_MS);
  return {
    listener,
    isReady: () => !closing && queue.canRecord(),
    close: () => {
      closing = true;
    },
    stop: async () => {
      clearInterval(refresh);
      await listener.stop(true);
    },
  };
}

/** What is known of the queue and of whether anything can be recorded, between two looks at the database. */
function createQueueWatch({
  store,
  now,
  log,
}: {
  readonly store: Store;
  readonly now: () => number;
  readonly log: Log;
}) {
  let waiting = 0;
  let isAway = false;
  let cannotRecord = false;
  // A database whose disk is full still answers what is asked of it.
  const count = async (): Promise<{ readonly waiting: number }> => {
    if (cannotRecord) await store.meta.set(TRIAL_KEY, `${now()}`);
    cannotRecord = false;
    return await store.work.waiting();
  };
  const record: Store["deliveries"]["record"] = async (delivery, marks) => {
    try {
      const kept = await store.deliveries.record(delivery, marks);
      // Until the next count: a burst must not pass the limit between two of them.
      if (kept === "accepted") waiting += marks.length;
      return kept;
    } catch (error) {
      cannotRecord = true;
      throw error;
    }
  };
  const refresh = (): void => {
    count().then(
      (queue) => {
        waiting = queue.waiting;
        if (isAway) log.info("the database answers again");
        isAway = false;
      },
      (error: unknown) => {
        if (!isAway) log.warn("the queue could not be counted", { reason: String(error) });
        isAway = true;
      },
    );
  };
  return {
    record,
    refresh,
    waiting: () => waiting,
    canRecord: () => !isAway && !cannotRecord,
  };
}
