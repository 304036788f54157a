import type { Chance } from "./chance.ts";
import type { ChaosService } from "./one-service.ts";

export const KINDS = ["service", "both", "agents"] as const;
/** What of a service is killed. */
export type Kind = (typeof KINDS)[number];

const AGAIN = 0.15;
const AGAIN_MS_MAX = 400;

/** A kill that has been made. */
export interface Killed {
  /** How many agents were alive. */
  readonly agents: number;
  /** Resolves with the milliseconds from the start of the next life until deliveries are taken in; 0 when only agents were killed. Rejects when that fails. */
  readonly up: Promise<number>;
}

/** Kills with SIGKILL, and brings the service up again at once; now and then it is killed once more while it starts. */
export async function killOnce(service: ChaosService, kind: Kind, chance: Chance): Promise<Killed> {
  if (kind === "agents") return { agents: await service.killAgents(), up: Promise.resolve(0) };
  const agents = service.agentsAlive().length;
  const gone = service.kill();
  if (kind === "both") await service.killAgents();
  await gone;
  const pauseMs = chance.of(AGAIN) ? chance.between(0, AGAIN_MS_MAX) : null;
  const up = bringUp(service, pauseMs);
  // Whoever waits for it is told; until then nobody may.
  up.catch(() => undefined);
  return { agents, up };
}

async function bringUp(service: ChaosService, pauseMs: number | null): Promise<number> {
  if (pauseMs !== null) {
    await service.start(false);
    await Bun.sleep(pauseMs);
    await service.kill();
  }
  const began = performance.now();
  await service.start(true);
  return Math.round(performance.now() - began);
}
