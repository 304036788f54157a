import { createAssignments } from "./assignments.ts";
import { type Beside, startStarters } from "./starters.ts";

const DELIVERIES = 140;
/** Between two deliveries, so that each finds nothing left of the one before. */
const QUIET_MS = 50;

/**
 * The time from sending each of 140 lone deliveries to the first thing the command it starts does. Our
 * engine and adnanh/webhook take turns, a delivery each. Throws when one of them fails.
 */
export async function loneDeliveries(dir: string): Promise<Beside> {
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
      const starts = await starters.waitForStarts([number]);
      times[at]?.push((starts.get(number) ?? Number.NaN) - sent);
    }
  }
  const [ours, theirs] = times;
  return { ours, theirs };
}
