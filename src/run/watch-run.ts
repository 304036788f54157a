import { setTimeout as wait } from "node:timers/promises";
import type { Outcome } from "../domain/ledger.ts";
import { mayGoOn } from "../domain/may-go-on.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { RunClaim } from "../ports/store.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";

const BEAT_MS = 500;
/** A closed issue must end its run within 5 s, the end of the process included. */
const LOOK_EVERY_MS = 2000;
const LEASE_MS = 30_000;

/** Why a run was stopped from outside. */
export interface Stop {
  readonly outcome: Extract<Outcome, "cancelled" | "timed_out" | "stalled">;
  readonly reason: string;
}

export interface RunWatch {
  readonly signal: AbortSignal;
  stopped(): Stop | null;
  /** A sign of life of the CLI; before the first one, while the place is set up, silence is no stall. */
  alive(): void;
  /** The run's own effect is made: what it did itself never ends it. */
  effectDone(): void;
  end(): Promise<void>;
}

/**
 * Watches over a living run: keeps its lease, looks at the forge when the item is marked and asks
 * `mayGoOn`, and stops it for time, silence, pause or shutdown.
 */
export function watchRun(
  claim: RunClaim,
  deps: RunDependencies,
  frame: { settings: RepositorySettings; shutdown: AbortSignal },
): RunWatch {
  const { limits } = frame.settings.policy;
  const controller = new AbortController();
  const ended = new AbortController();
  const startedAt = deps.now();
  let heardAt: number | null = null;
  let stop: Stop | null = null;
  let isDone = false;
  let seenMark = claim.mark;
  let lookedAt = 0;
  let isLooking = false;
  const loop = watch();

  return {
    signal: controller.signal,
    stopped: () => stop,
    alive: () => {
      heardAt = deps.now();
    },
    effectDone: () => {
      isDone = true;
    },
    end: async () => {
      ended.abort();
      await loop;
    },
  };

  function halt(outcome: Stop["outcome"], reason: string): void {
    if (stop !== null || ended.signal.aborted) return;
    stop = { outcome, reason };
    deps.log.info("stopping run", { outcome, reason });
    controller.abort();
  }

  async function watch(): Promise<void> {
    while (!ended.signal.aborted) {
      try {
        await beat();
      } catch (error) {
        deps.log.warn("watching a run failed", { reason: String(error) });
      }
      await pauseFor(BEAT_MS, ended.signal);
    }
  }

  async function beat(): Promise<void> {
    const now = deps.now();
    if (frame.shutdown.aborted) return halt("cancelled", "the service is stopping");
    const { held, mark } = await deps.store.work.heartbeat(claim, LEASE_MS);
    if (!held) return halt("cancelled", "the lease was lost");
    if (now - startedAt > limits.runMinutes * 60_000) return halt("timed_out", "run_minutes");
    if (heardAt !== null && now - heardAt > limits.stallMinutes * 60_000) {
      return halt("stalled", "stall_minutes");
    }
    const paused = await isPaused();
    if (paused) return halt("cancelled", "paused");
    if (isLooking || mark === seenMark || now - lookedAt < LOOK_EVERY_MS) return;
    lookedAt = now;
    isLooking = true;
    // Not waited for: a forge that takes its time must not cost the lease.
    void look(mark).finally(() => {
      isLooking = false;
    });
  }

  /** Never rejects: an unknown state ends nothing, only an answer that shows it does. */
  async function look(mark: number): Promise<void> {
    try {
      const snapshot = await deps.readSnapshot(claim.item);
      seenMark = mark;
      const { policy } = frame.settings;
      const answer = mayGoOn(claim.order, { snapshot, policy, done: isDone });
      if (!answer.ok) halt("cancelled", answer.reason);
    } catch (error) {
      const reason = error instanceof ForgeFailure ? error.message : String(error);
      deps.log.warn("no snapshot for a living run", { ...claim.item, reason });
    }
  }

  async function isPaused(): Promise<boolean> {
    const scopes = await deps.store.work.paused();
    return scopes.some(
      (scope) =>
        scope.kind === "all" ||
        (scope.kind === "repo" && scope.repo === claim.item.repo) ||
        (scope.kind === "agent" && scope.agent === claim.order.agent),
    );
  }
}

/** Waits, or returns at once when the signal aborts. */
async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
