import { setTimeout as wait } from "node:timers/promises";
import type { Claim, RunClaim, RunLimits } from "../ports/store.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { reconcile } from "./reconcile.ts";
import { resolveMarks } from "./resolve-marks.ts";

const RECONCILES_MAX = 4;
const LEASE_MS = 30_000;
/** The longest sleep without a wake-up: leases of others may have run out meanwhile. */
const SLEEP_MS_MAX = 5000;
/** And the shortest: what is due may be waiting for a slot. */
const SLEEP_MS_MIN = 50;
/** After marks stayed or something broke, not at once again. */
const COOL_DOWN_MS = 1000;

export interface WorkLoop {
  /** Begins to claim work. */
  start(): void;
  /** Looks for work now instead of at the next due time. */
  wake(): void;
  /** Claims no more; resolves when everything claimed has been given back. */
  drain(): Promise<void>;
}

/**
 * The loop that turns marks into decisions and orders into runs. Reconciling and running are two
 * claims: waiting for a slot holds neither a lease nor a slot.
 */
export function createWorkLoop(
  deps: WorkDependencies,
  options: {
    readonly owner: string;
    readonly limits: () => RunLimits;
    readonly run: (claim: RunClaim) => Promise<void>;
    /** How long a claim holds without a renewal, in milliseconds; 30 s when absent. */
    readonly leaseMs?: number;
  },
): WorkLoop {
  const leaseMs = options.leaseMs ?? LEASE_MS;
  const busy = new Set<Promise<void>>();
  let reconciling = 0;
  let stopping = false;
  let alarm = new AbortController();
  let loop: Promise<void> = Promise.resolve();

  return {
    start: () => {
      loop = turn();
    },
    wake: () => alarm.abort(),
    drain: async () => {
      stopping = true;
      alarm.abort();
      await loop;
      await Promise.all(busy);
    },
  };

  async function turn(): Promise<void> {
    while (!stopping) {
      alarm = new AbortController();
      let coolDown = false;
      try {
        coolDown = (await resolveMarks(deps)) > 0;
        await claimAll();
      } catch (error) {
        coolDown = true;
        deps.log.error("the work loop stumbled", { reason: String(error) });
      }
      if (stopping) return;
      if (coolDown) await sleep(COOL_DOWN_MS, new AbortController().signal);
      else await sleep(await untilDue(), alarm.signal);
    }
  }

  async function claimAll(): Promise<void> {
    await deps.store.work.reap(null);
    while (!stopping && reconciling < RECONCILES_MAX) {
      const claim = await deps.store.work.claimReconcile(options.owner, leaseMs);
      if (claim === null) break;
      reconciling += 1;
      launch(
        claim,
        async () => await keepingLease(claim, async () => await reconcile(claim, deps)),
        () => {
          reconciling -= 1;
        },
      );
    }
    while (!stopping) {
      const claim = await deps.store.work.claimRun(options.owner, leaseMs, options.limits());
      if (claim === null) break;
      launch(
        claim,
        async () => await options.run(claim),
        () => undefined,
      );
    }
  }

  /** Renews the lease of a claim while it is worked on: a slow forge must not make it run out. */
  async function keepingLease(claim: Claim, work: () => Promise<void>): Promise<void> {
    const ended = new AbortController();
    const beating = beat(claim, ended.signal);
    try {
      await work();
    } finally {
      ended.abort();
      await beating;
    }
  }

  async function beat(claim: Claim, ended: AbortSignal): Promise<void> {
    for (;;) {
      await sleep(leaseMs / 3, ended);
      if (ended.aborted) return;
      try {
        if (!(await deps.store.work.heartbeat(claim, leaseMs)).held) return;
      } catch (error) {
        deps.log.warn("a lease could not be renewed", { ...claim.item, reason: String(error) });
      }
    }
  }

  /** Owns the promise of one claim: a failure is logged, its lease runs out and the item comes again. */
  function launch(claim: Claim, work: () => Promise<void>, after: () => void): void {
    const task = work()
      .catch((error: unknown) => {
        deps.log.error("work on an item broke", { ...claim.item, reason: describe(error) });
      })
      .finally(() => {
        busy.delete(task);
        after();
        alarm.abort();
      });
    busy.add(task);
  }

  async function untilDue(): Promise<number> {
    const due = await deps.store.work.nextDue();
    return due === null
      ? SLEEP_MS_MAX
      : Math.min(Math.max(due - deps.now(), SLEEP_MS_MIN), SLEEP_MS_MAX);
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || ms <= 0) return;
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
