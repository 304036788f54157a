import type { Outcome } from "../domain/ledger.ts";
import type { Policy } from "../domain/policy.ts";
import type { RunClaim } from "../ports/store/claims.ts";
import type { PauseScope, WorkStore } from "../ports/store/work.ts";
import { waitAtMost } from "../time/wait-at-most.ts";
import type { RepositorySettings, RunDependencies } from "./dependencies.ts";
import { lookWhenMarked } from "./look-when-marked.ts";
import { createRunLease } from "./run-lease.ts";
import { createSafePoint } from "./safe-point.ts";

const BEAT_MS = 500;
const MINUTE_MS = 60_000;

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
  const { policy } = frame.settings;
  const controller = new AbortController();
  const ended = new AbortController();
  const startedAt = deps.now();
  const lease = createRunLease(claim, deps.store.work);
  let heardAt: number | null = null;
  let stop: Stop | null = null;
  let isDone = false;
  const cancel = (reason: string): void => halt({ outcome: "cancelled", reason });
  const look = lookWhenMarked(claim, deps, { policy, isDone: () => isDone, objects: cancel });
  // By its own clock: a beat may wait for a database that somebody has locked, or that is away.
  const fileWatch = setInterval(() => {
    cancelForFile();
    if (!lease.holds()) cancel("the lease could not be renewed");
  }, BEAT_MS);
  cancelForFile();
  const safePoint = createSafePoint(frame.ending, cancel);
  const loop = repeat(beat, ended.signal, (error) => {
    deps.log.warn("watching a run failed", { reason: String(error) });
  });

  return {
    signal: controller.signal,
    stopped: () => stop,
    holdsLease: lease.holds,
    alive: () => {
      heardAt = deps.now();
    },
    calling: safePoint.calling,
    effectDone: () => {
      isDone = true;
    },
    end: async () => {
      ended.abort();
      clearInterval(fileWatch);
      safePoint.end();
      await loop;
    },
  };

  function halt(why: Stop): void {
    if (stop !== null || ended.signal.aborted) return;
    stop = why;
    deps.log.info("stopping run", { ...why });
    controller.abort();
  }

  function cancelForFile(): void {
    if (deps.pausedByFile()) cancel("paused");
  }

  async function beat(): Promise<void> {
    const now = deps.now();
    const mark = await lease.keep();
    if (mark === null) return cancel("the lease was lost");
    const late = overdue({ now, startedAt, heardAt }, policy.limits);
    if (late !== null) return halt(late);
    const word = await operatorsWord(claim, deps.store.work);
    if (word !== null) return cancel(word);
    look(mark);
  }
}

/** A beat after the other until the signal; one that fails is told of and not the last. */
async function repeat(
  beat: () => Promise<void>,
  ended: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<void> {
  while (!ended.aborted) {
    try {
      await beat();
    } catch (error) {
      onFailure(error);
    }
    await waitAtMost(BEAT_MS, ended);
  }
}

/** Why an operator does not want the run to go on; null: nobody has said so. */
async function operatorsWord(
  claim: RunClaim,
  work: Pick<WorkStore, "paused" | "held">,
): Promise<string | null> {
  const paused = await work.paused();
  if (paused.some((scope) => covers(scope, claim))) return "paused";
  const held = await work.held(claim.item);
  return held === null ? null : `${held.kind} by an operator`;
}

/** Why a run has lasted, or been silent, for too long; null: it has not. Before its first sign of life it is not silent. */
function overdue(
  times: { readonly now: number; readonly startedAt: number; readonly heardAt: number | null },
  limits: Pick<Policy["limits"], "runMinutes" | "stallMinutes">,
): Stop | null {
  const { now, startedAt, heardAt } = times;
  if (now - startedAt > limits.runMinutes * MINUTE_MS) {
    return { outcome: "timed_out", reason: "run_minutes" };
  }
  if (heardAt !== null && now - heardAt > limits.stallMinutes * MINUTE_MS) {
    return { outcome: "stalled", reason: "stall_minutes" };
  }
  return null;
}

function covers(scope: PauseScope, { item, order }: RunClaim): boolean {
  switch (scope.kind) {
    case "all":
      return true;
    case "repo":
      return scope.repo === item.repo;
    case "agent":
      return scope.agent === order.agent;
  }
}
