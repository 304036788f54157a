import { setTimeout as wait } from "node:timers/promises";
import { passName } from "../domain/gate.ts";
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
/**
 * Between two looks for work, however often it is woken: in a storm of 200 deliveries a second every
 * one wakes it, and each look asks the store a dozen things.
 */
const PACE_MS = 25;
/** After something broke, not at once again. */
const COOL_DOWN_MS = 1000;

/** The loop from the outside. */
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
    /** While true no run is claimed; everything else goes on. */
    readonly draining?: () => boolean;
    /** Whether other processes are to look at the items and this one is not. */
    readonly resting?: () => boolean;
    /** How long a claim holds without a renewal, in milliseconds; 30 s when absent. */
    readonly leaseMs?: number;
  },
): WorkLoop {
  const leaseMs = options.leaseMs ?? LEASE_MS;
  const busy = new Set<Promise<void>>();
  const ofItem = new Map<string, Promise<void>>();
  let reconciling = 0;
  let resolving: Promise<void> | null = null;
  let resolveAgain = false;
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
      await resolving;
      await Promise.all(busy);
    },
  };

  async function turn(): Promise<void> {
    while (!stopping) {
      alarm = new AbortController();
      let coolDown = false;
      try {
        deps.gates.tryDue();
        await claimAll();
      } catch (error) {
        coolDown = true;
        deps.log.error("the work loop stumbled", { reason: String(error) });
      }
      if (stopping) return;
      await sleep(coolDown ? COOL_DOWN_MS : PACE_MS, new AbortController().signal);
      if (!coolDown) await sleep(await untilDue(), alarm.signal);
    }
  }

  async function claimAll(): Promise<void> {
    await deps.store.work.reap(null);
    // Without the forge there is nothing to look at: what is marked stays so.
    const canLook = !deps.gates.isClosed("forge") && options.resting?.() !== true;
    // What was marked while marks are being resolved may have come too late for that.
    if (canLook && resolving !== null) resolveAgain = true;
    else if (canLook) resolving = launchResolving();
    for (;;) {
      // Before the next look: what was just decided would otherwise be looked at again for as long as
      // its item is marked faster than a look takes, and never run. A run reads the forge anew anyway.
      await claimRuns();
      if (!canLook || stopping || reconciling >= RECONCILES_MAX) return;
      const claim = await deps.store.work.claimReconcile(options.owner, leaseMs);
      if (claim === null) return;
      reconciling += 1;
      launch(
        claim,
        async () => await keepingLease(claim, async () => await reconcile(claim, deps)),
        () => {
          reconciling -= 1;
        },
      );
    }
  }

  async function claimRuns(): Promise<void> {
    while (!stopping && options.draining?.() !== true) {
      await deps.gates.follow();
      const held = deps.gates.held();
      const limits = { ...options.limits(), held };
      const claim = await deps.store.work.claimRun(options.owner, leaseMs, limits);
      if (claim === null) return;
      const by = passName(claim);
      if (!(await deps.gates.enter(claim.order.agent, by))) {
        // Its item is looked at again, and its order waits for the one who tries.
        deps.gates.leave(by);
        await deps.store.work.settleRun(claim, { notBefore: null, park: null });
        continue;
      }
      launch(
        claim,
        async () => await options.run(claim),
        () => deps.gates.leave(by),
      );
    }
  }

  /** Not waited for: a slow forge must not keep runs from beginning. */
  async function launchResolving(): Promise<void> {
    resolveAgain = false;
    try {
      if ((await resolveMarks(deps)) > 0) resolveAgain = true;
    } catch (error) {
      deps.log.error("marks could not be resolved", { reason: describe(error) });
    } finally {
      resolving = null;
      if (resolveAgain) alarm.abort();
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
    const name = `${claim.item.repo}#${claim.item.number}`;
    // A process that stood still for longer than a lease is given its own items again: one after the other.
    const earlier = ofItem.get(name);
    const begin = async (): Promise<void> => {
      if (earlier !== undefined) await keepingLease(claim, async () => await earlier);
      await work();
    };
    const task = begin()
      .catch((error: unknown) => {
        deps.log.error("work on an item broke", { ...claim.item, reason: describe(error) });
      })
      .finally(() => {
        busy.delete(task);
        if (ofItem.get(name) === task) ofItem.delete(name);
        after();
        alarm.abort();
      });
    busy.add(task);
    ofItem.set(name, task);
  }

  async function untilDue(): Promise<number> {
    const isForgeAway = deps.gates.isClosed("forge");
    const times = [isForgeAway ? null : await deps.store.work.nextDue(), deps.gates.nextTry()];
    const due = times.reduce((a, b) => (a === null || (b !== null && b < a) ? b : a));
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
