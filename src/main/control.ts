import { setTimeout as wait } from "node:timers/promises";
import type { Hold } from "../domain/hold.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import type { AdminOptions } from "../http/admin-options.ts";
import type { Log } from "../ports/observe.ts";
import type { RunView } from "../ports/store/runs.ts";
import type { Store } from "../ports/store.ts";

/** An operator's call waits so long for what it stops; it is stopped all the same. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 50;

/** What operators say about runs and items, and how the service as a whole is told to end its runs. */
export interface Control {
  readonly words: Pick<AdminOptions["control"], "cancel" | "park" | "goOn" | "drain">;
  /** Runs start again. */
  undrain(): void;
  draining(): boolean;
  /** Aborts, with the reason in words, when the runs that live now are to come to an end. */
  ending(): AbortSignal;
  /** The service stops for good. */
  stop(): void;
}

/** `wake` makes the loop look for work; `now`: epoch ms. */
export function createControl(parts: {
  readonly store: Pick<Store, "runs" | "work">;
  /** The name under which this process holds leases: a drain is of its own runs. */
  readonly owner: string;
  readonly wake: () => void;
  readonly now: () => number;
  readonly log: Log;
}): Control {
  const { store, wake, now, log } = parts;
  const stopping = new AbortController();
  let drain = new AbortController();

  return {
    draining: () => drain.signal.aborted,
    ending: () => AbortSignal.any([stopping.signal, drain.signal]),
    stop: () => stopping.abort("the service is stopping"),
    words: {
      cancel: async (run) => {
        await hold(run, { kind: "cancelled", agent: run.agent });
        return (await ended(run.id)) ?? run;
      },
      park: async (item) => {
        if (!(await hold(item, { kind: "parked", agent: null }))) return false;
        await until(async () => (await store.work.runningAgent(item)) === null);
        return true;
      },
      goOn: async ({ repo, number }) => {
        log.info("an operator lets an item go on", { repo, number });
        return await store.work.goOn({ repo, number });
      },
      drain: async () => {
        if (!drain.signal.aborted) log.info("draining");
        drain.abort("draining");
        await until(async () => (await store.work.running(parts.owner)) === 0);
        return await store.work.running(parts.owner);
      },
    },
    undrain: () => {
      if (!drain.signal.aborted) return;
      log.info("no longer draining");
      drain = new AbortController();
      wake();
    },
  };

  async function hold(
    { repo, number }: ItemRef,
    how: Pick<Hold, "kind" | "agent">,
  ): Promise<boolean> {
    log.info(`${how.kind} by an operator`, { repo, number });
    return await store.work.hold({ repo, number }, { ...how, since: now(), known: null });
  }

  async function ended(id: string): Promise<RunView | null> {
    let run: RunView | null = null;
    await until(async () => {
      run = await store.runs.get(id);
      return run === null || run.endedAt !== null;
    });
    return run;
  }

  async function until(isSo: () => Promise<boolean>): Promise<void> {
    const end = now() + PATIENCE_MS;
    while (!(await isSo()) && now() < end) await wait(LOOK_MS);
  }
}
