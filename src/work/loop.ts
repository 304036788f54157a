import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import type { RunClaim, RunLimits } from "../ports/store/claims.ts";
import { createAlarm } from "../time/alarm.ts";
import { createClaiming } from "./claim-work.ts";
import { createClaimedTasks } from "./claimed-tasks.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { createPace } from "./pace.ts";
import { createResolving } from "./resolving.ts";
import { tellTrouble } from "./tell-trouble.ts";

const LEASE_MS = 30_000;
/** The longest sleep without a wake-up: leases of others may have run out meanwhile. */
const SLEEP_MS_MAX = 5000;
/** And the shortest: what is due may be waiting for a slot. */
const SLEEP_MS_MIN = 50;
/**
 * Looks may take half of the time for good, and this much at once. In a storm of 200 deliveries a
 * second every one wakes the loop, and each look asks the store a dozen things; a lone delivery needs
 * one to three looks until its run begins (whether it waits for the forge in between), and none of them
 * should wait.
 */
const LOOKING_MS_AT_ONCE = 50;
const REST_MS_MAX = 25;
/** After something broke, not at once again. */
const COOL_DOWN_MS = 1000;
/** Leases that have run out are not looked for in every turn: a quarter of a second is nothing to half a minute. */
const REAP_EVERY_MS = 250;

/** The loop from the outside. */
export interface WorkLoop {
  /** Begins to claim work. */
  start(): void;
  /** Looks for work now instead of at the next due time. */
  wake(): void;
  /** Claims no more; resolves when everything claimed has been given back. */
  drain(): Promise<void>;
}

/** Who claims, how much, and what is done with a run. */
export interface LoopOptions {
  readonly owner: string;
  readonly limits: () => RunLimits;
  readonly run: (claim: RunClaim) => Promise<void>;
  /** While true no run is claimed; everything else goes on. */
  readonly draining?: () => boolean;
  /** Whether other processes are to look at the items and this one is not. */
  readonly resting?: () => boolean;
  /** How long a claim holds without a renewal, in milliseconds; 30 s when absent. */
  readonly leaseMs?: number;
  /** How long it waits after something broke, in milliseconds; 1 s when absent. */
  readonly coolDownMs?: number;
}

/**
 * The loop that turns marks into decisions and orders into runs. Reconciling and running are two
 * claims: waiting for a slot holds neither a lease nor a slot.
 */
export function createWorkLoop(deps: WorkDependencies, options: LoopOptions): WorkLoop {
  const { store, gates, log } = deps;
  const { leaseMs = LEASE_MS, coolDownMs = COOL_DOWN_MS } = options;
  const alarm = createAlarm();
  const wake = alarm.ring;
  const tasks = createClaimedTasks({ store, leaseMs, log, onEnd: wake });
  const trouble = tellTrouble(deps, {
    broke: "the work loop stumbled",
    over: "the work loop goes on",
  });
  const pace = createPace({
    atOnceMs: LOOKING_MS_AT_ONCE,
    restMsMax: REST_MS_MAX,
    clock: () => performance.now(),
  });
  const resolving = createResolving(deps, wake);
  const claimWork = createClaiming(deps, {
    ...options,
    ...{ leaseMs, tasks },
    isDraining: () => options.draining?.() === true,
    isStopping: () => stopping,
  });
  let stopping = false;
  let reapAt = 0;
  let loop: Promise<void> = Promise.resolve();

  return {
    start: () => {
      loop = turn();
    },
    wake,
    drain: async () => {
      stopping = true;
      wake();
      await loop;
      await resolving.ended();
      await tasks.ended();
    },
  };

  async function turn(): Promise<void> {
    while (!stopping) {
      try {
        pace.began();
        gates.tryDue();
        await claimAll();
        if (stopping) return;
        const restMs = pace.rest();
        // A timer of no time takes a millisecond.
        if (restMs > 0) await wait(restMs);
        let quietMs = 0;
        if (!alarm.hasRung()) {
          quietMs = await untilDue(deps);
          // Only now has the store answered everything that a turn asks; in a storm that is said later.
          trouble.went();
        }
        await alarm.sleep(quietMs);
      } catch (error) {
        trouble.broke(error);
        if (!stopping) await wait(coolDownMs);
      }
    }
  }

  async function claimAll(): Promise<void> {
    // Without the forge there is nothing to look at: what is marked stays so.
    const canLook = !gates.isClosed("forge") && options.resting?.() !== true;
    if (canLook) {
      resolving.begin();
      // What can be told from the database alone is known after that, and claimed at once.
      await nextTurn();
    }
    const time = performance.now();
    if (time >= reapAt) {
      reapAt = time + REAP_EVERY_MS;
      await store.work.reap(null);
    }
    await claimWork(canLook);
  }
}

/** How long, in milliseconds, nothing need be looked for. */
async function untilDue({ store, gates, now }: WorkDependencies): Promise<number> {
  const nextDue = gates.isClosed("forge") ? null : await store.work.nextDue();
  const times = [nextDue, gates.nextTry()].filter((time) => time !== null);
  if (times.length === 0) return SLEEP_MS_MAX;
  return Math.min(Math.max(Math.min(...times) - now(), SLEEP_MS_MIN), SLEEP_MS_MAX);
}
