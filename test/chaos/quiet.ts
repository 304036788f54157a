import { type Counters, countAll, isBusy } from "./count.ts";
import { evidenceOf } from "./evidence.ts";
import type { People } from "./people.ts";
import type { ChaosWorld } from "./world.ts";

const ACT_MS = 150;
const SETTLE_LOOK_MS = 100;
/** Without a lease and without a change for so long: what is left will never be done. */
const STILL_MS = 10_000;
const SWEEP_MS = 15_000;
const ENCOURAGE_MS = 1000;
/** What was counted once stays so; the others count what is not done yet. */
const LASTING: readonly (keyof Counters)[] = [
  "acceptedTwice",
  "ranTwice",
  "overlapped",
  "pullsTooMany",
  "doubled",
];

/** How the waiting for quiet came out; all but the first two are faults. */
export type Quiet = "quiet" | "stopped" | "standing still" | "out of time" | "not swept";

/** People act until `end`, which throws what went wrong for them. */
export function actUntil(
  world: ChaosWorld,
  people: People,
): AsyncDisposable & { end(): Promise<void> } {
  const encourage = encouraging(world, people);
  let isOver = false;
  const acting = (async (): Promise<unknown> => {
    try {
      while (!isOver) {
        await people.act();
        await encourage();
        await Bun.sleep(ACT_MS);
      }
      return null;
    } catch (error) {
      return error;
    }
  })();
  const end = async (): Promise<void> => {
    isOver = true;
    const error = await acting;
    if (error !== null) throw new Error("people could not act", { cause: error });
  };
  return { end, [Symbol.asyncDispose]: end };
}

/** Tells who waits after a failure to go on, once a second at most; true while somebody waits. */
function encouraging(world: ChaosWorld, people: People): () => Promise<boolean> {
  let sayAt = 0;
  return async () => {
    const { parked } = await world.stored();
    if (parked.length > 0 && performance.now() >= sayAt) {
      sayAt = performance.now() + ENCOURAGE_MS;
      for (const number of parked) await people.encourage(number);
    }
    return parked.length > 0;
  };
}

/** Until everything sent is handled and nothing is left to do; who waits after a failure is told to go on. */
export async function untilQuiet(play: {
  readonly world: ChaosWorld;
  readonly people: People;
  readonly stopAt: keyof Counters | null;
  readonly isInTime: () => boolean;
}): Promise<Quiet> {
  const { world, people, stopAt, isInTime } = play;
  world.load.calm();
  const encourage = encouraging(world, people);
  let last = { trace: "", since: performance.now() };
  while (isInTime()) {
    if (stopAt !== null && LASTING.includes(stopAt)) {
      if (countAll(await evidenceOf(world, people.issues))[stopAt] > 0) return "stopped";
    }
    await world.forge.idle();
    await world.load.idle();
    const { items, marks, leases, trace } = await world.stored();
    const answered = await people.answer();
    const waits = await encourage();
    if (!isBusy({ items }) && marks === 0 && !waits && !answered) return "quiet";
    if (trace !== last.trace || leases > 0) last = { trace, since: performance.now() };
    if (performance.now() - last.since > STILL_MS) return "standing still";
    await Bun.sleep(SETTLE_LOOK_MS);
  }
  return "out of time";
}

/**
 * Kills all services and starts them anew: the one that sweeps does so at its start, and finds what
 * was sent to a dead one. Of several, one that starts while another lives does not sweep.
 */
export async function startAllAnew({ services, stored }: ChaosWorld): Promise<Quiet> {
  await Promise.all(services.map(async (service) => await service.kill()));
  const { swept } = await stored();
  await Promise.all(services.map(async (service) => await service.start(true)));
  const end = performance.now() + SWEEP_MS;
  while ((await stored()).swept === swept) {
    if (performance.now() > end) return "not swept";
    await Bun.sleep(SETTLE_LOOK_MS);
  }
  return "quiet";
}
