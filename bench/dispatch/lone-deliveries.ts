import { createAssignments } from "./assignments.ts";
import { startOf, startStarters } from "./starters.ts";

const DELIVERIES = 140;
/** Between two deliveries, so that each finds nothing left of the one before. */
const QUIET_MS = 50;

/**
 * Milliseconds from sending a lone delivery to the first thing the command it starts does: of our
 * engine, and of adnanh/webhook (empty where it is not installed), which take turns.
 */
export async function loneDeliveries(
  dir: string,
): Promise<{ readonly ours: readonly number[]; readonly theirs: readonly number[] }> {
  const assignment = await createAssignments();
  using starters = await startStarters(dir, 0);
  const times: readonly [number[], number[]] = [[], []];
  for (let number = 1; number <= DELIVERIES; number += 1) {
    for (const [at, url] of starters.urls.entries()) {
      await starters.forget();
      await Bun.sleep(QUIET_MS);
      const request = assignment(number);
      const sent = performance.timeOrigin + performance.now();
      const answer = await fetch(url, request);
      if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
      times[at]?.push((await startOf(starters, number)) - sent);
    }
  }
  const [ours, theirs] = times;
  return { ours, theirs };
}
