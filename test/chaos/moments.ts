import { isBusy } from "./count.ts";
import type { ChaosService } from "./one-service.ts";
import type { People } from "./people.ts";
import type { ChaosWorld } from "./world.ts";

export const MOMENTS = [
  "any",
  "accepted",
  "prepared",
  "spawned",
  "working",
  // The forge has it, and the service may not know yet.
  "on the forge",
  "pull request there",
  "on record",
  "told",
  "ended",
] as const;
/** In which a service is killed. */
export type Moment = (typeof MOMENTS)[number];

const EFFECTS = /comment|pull_request/u;
/** How long a moment is waited for, and how often it is looked whether there is work for it. */
const MOMENT_MS = 5000;
const BUSY_LOOK_MS = 100;
/** New work needs so long to be seen. */
const IDLE_MS = 1500;
const AGENT_MS = 20_000;
const LOOK_MS = 5;

/** Waits for the moment in which this service is to be killed, but not for ever. */
export async function untilMoment(
  world: ChaosWorld,
  { of, moment, provide }: { of: ChaosService; moment: Moment; provide: () => Promise<void> },
): Promise<void> {
  const { recorder, forge, load } = world;
  const { lines, runs } = of;
  const life = () => recorder.lives.findLast(({ run }) => runs.has(run));
  const probe: Readonly<Record<Moment, () => unknown>> = {
    any: () => 0,
    accepted: () => load.sent.accepted,
    prepared: () => lines.findLast(({ msg }) => /^(starting|resuming) session$/u.test(msg)),
    spawned: () => lines.findLast(({ msg }) => msg === "cli started"),
    working: () => life(),
    "on the forge": () => forge.deliveries.findLast(({ eventType }) => EFFECTS.test(eventType))?.id,
    "pull request there": () =>
      forge.deliveries.findLast(({ eventType }) => eventType === "pull_request")?.id,
    "on record": () => lines.findLast(({ msg }) => msg === "effect done"),
    told: () => `${life()?.run} ${life()?.done.length}`,
    ended: () => lines.findLast(({ msg }) => msg === "run ended"),
  };
  const before = probe[moment]();
  const end = performance.now() + MOMENT_MS;
  while (moment !== "any" && probe[moment]() === before && performance.now() < end) {
    await Bun.sleep(1);
    await provide();
  }
}

/** Waits for a CLI of this service. */
export async function untilAgent(of: ChaosService, provide: () => Promise<void>): Promise<void> {
  const end = performance.now() + AGENT_MS;
  while (of.agentsAlive().length === 0 && performance.now() < end) {
    await Bun.sleep(LOOK_MS);
    await provide();
  }
}

/** Waits for an agent that is in the middle, with one effect made and more to come; resolves with its service, or null. */
export async function untilHalfDone(
  { recorder, services }: ChaosWorld,
  provide: () => Promise<void>,
): Promise<ChaosService | null> {
  const end = performance.now() + AGENT_MS;
  while (performance.now() < end) {
    const life = recorder.lives.findLast(({ endedAt, done }) => {
      return endedAt === null && done.length === 1;
    });
    const of = services.find(({ runs }) => runs.has(life?.run ?? ""));
    if (of !== undefined) return of;
    await Bun.sleep(1);
    await provide();
  }
  return null;
}

/** Has an issue opened when there is nothing to do; it looks only so often. */
export function providing(world: ChaosWorld, people: People): () => Promise<void> {
  let lookAt = 0;
  return async () => {
    if (performance.now() < lookAt) return;
    const isIdle = !isBusy(await world.stored());
    if (isIdle) await people.create();
    lookAt = performance.now() + (isIdle ? IDLE_MS : BUSY_LOOK_MS);
  };
}
