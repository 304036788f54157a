import pg from "pg";

const CHANNEL = "claude_hooks";

/** Waiting time before listening is tried again: doubled each time up to the second. */
const RETRY_MS = 250;
const RETRY_MS_MAX = 10_000;

/** How often a silent connection is asked whether it is still there, and how long it may think. */
const PROBE_EVERY_MS = 15_000;
const PROBE_MS_MAX = 5000;

/** Wake-ups sent by this process are at least so far apart: one is as good as ten. */
const SEND_EVERY_MS = 20;

/** Hears what other processes have written. */
export interface PostgresWake {
  /** Tells the other processes that work may have become due. Never throws, may be lost. */
  send(): void;
  stop(): Promise<void>;
}

/**
 * Wake-ups between processes by LISTEN and NOTIFY. They only save waiting: each loop looks by itself
 * every few seconds, so a lost one, or PgBouncer in between (where LISTEN hears nothing), costs time
 * and no work. `self` tells our own wake-ups from those of others. Lost connections are made anew
 * with growing pauses; `onWake` is called when one is there again, as something may have been missed.
 */
export function openPostgresWake(
  options: ListenOptions & {
    readonly notify: (channel: string, payload: string) => Promise<unknown>;
  },
): PostgresWake {
  const listening = keepListening(options);
  let isStopped = false;
  let sending: ReturnType<typeof setTimeout> | null = null;
  return {
    send() {
      if (sending !== null || isStopped) return;
      sending = setTimeout(() => {
        sending = null;
        // Who would have heard it looks by itself soon.
        options.notify(CHANNEL, options.self).catch(options.onLost);
      }, SEND_EVERY_MS);
    },
    async stop() {
      isStopped = true;
      if (sending !== null) clearTimeout(sending);
      await listening.stop();
    },
  };
}

/** Where is listened, and who hears what. */
interface ListenOptions {
  readonly config: pg.ClientConfig;
  readonly self: string;
  readonly onWake: () => void;
  readonly onLost: (error: unknown) => void;
}

/** A connection that listens, asked now and then whether it is still there, and made anew when it is not. */
function keepListening({ config, self, onWake, onLost }: ListenOptions): {
  stop(): Promise<void>;
} {
  let client: pg.Client | null = null;
  let isStopped = false;
  let wasLost = false;
  let pause = RETRY_MS;
  let retry: ReturnType<typeof setTimeout> | null = null;
  let probe: ReturnType<typeof setTimeout> | null = null;

  const lose = (lost: pg.Client, error: unknown): void => {
    if (client !== lost) return;
    client = null;
    if (probe !== null) clearTimeout(probe);
    lost.end().catch(onLost);
    if (isStopped) return;
    wasLost = true;
    onLost(error);
    retry = setTimeout(listen, pause);
    pause = Math.min(pause * 2, RETRY_MS_MAX);
  };

  const listen = (): void => {
    const made = new pg.Client(config);
    client = made;
    made.on("error", (error) => lose(made, error));
    made.on("end", () => lose(made, new Error("the connection ended")));
    made.on("notification", ({ payload }) => {
      if (payload !== self) onWake();
    });
    made
      .connect()
      .then(async () => await made.query(`listen ${CHANNEL}`))
      .then(
        () => {
          pause = RETRY_MS;
          if (wasLost) onWake();
          watch(made);
        },
        (error: unknown) => lose(made, error),
      );
  };

  const watch = (watched: pg.Client): void => {
    probe = setTimeout(() => {
      const late = setTimeout(() => lose(watched, new Error("no answer")), PROBE_MS_MAX);
      watched.query("select 1").then(
        () => {
          clearTimeout(late);
          if (client === watched) watch(watched);
        },
        (error: unknown) => {
          clearTimeout(late);
          lose(watched, error);
        },
      );
    }, PROBE_EVERY_MS);
  };

  listen();
  return {
    async stop() {
      isStopped = true;
      for (const timer of [retry, probe]) if (timer !== null) clearTimeout(timer);
      const last = client;
      client = null;
      await last?.end().catch(onLost);
    },
  };
}
