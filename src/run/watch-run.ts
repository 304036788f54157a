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
/** A renewal is a write to the disk for each run: the looks in between only read. */
const RENEW_EVERY_MS = 5000;
/**
 * A lease that could not be renewed counts as lost so long before its end: by then the process must
 * be gone, and no act may be under way, whatever the clocks of others say.
 */
const LEASE_SPARE_MS = 7000;
/** So long a run that is to stop for the service's sake may take to come to a safe point. */
const SAFE_POINT_MS = 1000;

/** Why a run was stopped from outside. */
export interface Stop {
  readonly outcome: Extract<Outcome, "cancelled" | "timed_out" | "stalled">;
  readonly reason: string;
}

/** The watch of one living run. */
export interface RunWatch {
  readonly signal: AbortSignal;
  stopped(): Stop | null;
  /** Whether the lease still holds for a while, by the monotonic clock and what was last heard of the store. */
  holdsLease(): boolean;
  /** A sign of life of the CLI; before the first one, while the place is set up, silence is no stall. */
  alive(): void;
  /** How many tool calls are open: between them the conversation is at a safe point. */
  calling(more: number): void;
  /** The run's own effect is made: what it did itself never ends it. */
  effectDone(): void;
  end(): Promise<void>;
}

/**
 * Watches over a living run: keeps its lease, looks at the forge when the item is marked and asks
 * `mayGoOn`, and stops it for time, silence, pause, an operator's word or the end of the service.
 * `ending` aborts, with the reason in words, when the service stops or drains: the run is then stopped
 * between two tool calls, or after a second in the middle of one.
 */
export function watchRun(
  claim: RunClaim,
  deps: RunDependencies,
  frame: { settings: RepositorySettings; ending: AbortSignal },
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
  let openCalls = 0;
  let patience: ReturnType<typeof setTimeout> | undefined;
  // The claim that gave the lease was made before; preparing has not begun.
  let heldUntil = performance.now() + LEASE_MS;
  let renewAt = 0;
  const holdsLease = (): boolean => performance.now() < heldUntil - LEASE_SPARE_MS;
  // By its own clock: a beat may wait for a database that somebody has locked, or that is away.
  const fileWatch = setInterval(() => {
    haltForFile();
    if (!holdsLease()) halt("cancelled", "the lease could not be renewed");
  }, BEAT_MS);
  haltForFile();
  frame.ending.addEventListener("abort", soonForEnding, { once: true });
  if (frame.ending.aborted) soonForEnding();
  const loop = watch();

  return {
    signal: controller.signal,
    stopped: () => stop,
    holdsLease,
    alive: () => {
      heardAt = deps.now();
    },
    calling: (more) => {
      openCalls = Math.max(0, openCalls + more);
      if (openCalls === 0 && frame.ending.aborted) haltForEnding();
    },
    effectDone: () => {
      isDone = true;
    },
    end: async () => {
      ended.abort();
      clearInterval(fileWatch);
      clearTimeout(patience);
      frame.ending.removeEventListener("abort", soonForEnding);
      await loop;
    },
  };

  function halt(outcome: Stop["outcome"], reason: string): void {
    if (stop !== null || ended.signal.aborted) return;
    stop = { outcome, reason };
    deps.log.info("stopping run", { outcome, reason });
    controller.abort();
  }

  function haltForFile(): void {
    if (deps.pausedByFile()) halt("cancelled", "paused");
  }

  /** At once between two tool calls; in the middle of one there is a moment to end it. */
  function soonForEnding(): void {
    if (openCalls === 0) haltForEnding();
    else patience = setTimeout(haltForEnding, SAFE_POINT_MS);
  }

  function haltForEnding(): void {
    halt("cancelled", String(frame.ending.reason));
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
    const asked = performance.now();
    const renews = asked >= renewAt;
    const { held: isOurs, mark } = renews
      ? await deps.store.work.heartbeat(claim, LEASE_MS)
      : await deps.store.work.leaseState(claim);
    if (!isOurs) {
      heldUntil = 0;
      return halt("cancelled", "the lease was lost");
    }
    if (renews) {
      heldUntil = asked + LEASE_MS;
      renewAt = asked + RENEW_EVERY_MS;
    }
    if (now - startedAt > limits.runMinutes * 60_000) return halt("timed_out", "run_minutes");
    if (heardAt !== null && now - heardAt > limits.stallMinutes * 60_000) {
      return halt("stalled", "stall_minutes");
    }
    const paused = await isPaused();
    if (paused) return halt("cancelled", "paused");
    const held = await deps.store.work.held(claim.item);
    if (held !== null) return halt("cancelled", `${held.kind} by an operator`);
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
