import { median } from "../median.ts";
import { createAssignments } from "./assignments.ts";
import { type Beside, type Starters, startStarters } from "./starters.ts";

/** How many deliveries are sent: as many as test/chaos sends. */
export const DELIVERIES_PER_SECOND = 40;
/** Every fifth delivery is sent a second time at once. */
const TWICE_EVERY = 5;
const STUB_SECONDS = 0.3;

const ROUNDS = 5;
/** How long each of both is loaded in a round. */
export const ROUND_SECONDS = 8;

/**
 * The median time from sending a delivery to the first thing the command it starts does, of each round
 * of 8 s: 40 deliveries a second, each of another issue, one in five sent twice; a command lives for 0.3 s.
 * Our engine and adnanh/webhook take turns, a round each; in the first round of both their code is
 * still cold. Ours drops the second ones; adnanh/webhook starts a command for them, too (48 a second), as it
 * knows no deliveries. Throws when one of them fails.
 */
export async function underLoad(dir: string): Promise<Beside> {
  const assignment = await createAssignments();
  using starters = await startStarters(dir, STUB_SECONDS);
  const medians: readonly [number[], number[]] = [[], []];
  let first = 1;
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [at, url] of starters.urls.entries()) {
      const count = DELIVERIES_PER_SECOND * ROUND_SECONDS;
      const numbers = Array.from({ length: count }, (_, index) => first + index);
      first += count;
      medians[at]?.push(median(await load(starters, { url, numbers, assignment })));
    }
  }
  const [ours, theirs] = medians;
  return { ours, theirs };
}

/** Sends them in an open loop; the milliseconds from sending each to the start of its stub. */
async function load(
  starters: Starters,
  {
    url,
    numbers,
    assignment,
  }: {
    readonly url: string;
    readonly numbers: readonly number[];
    readonly assignment: (number: number) => RequestInit;
  },
): Promise<readonly number[]> {
  await starters.forget();
  const sent = new Map<number, number>();
  const answers: Promise<Response | null>[] = [];
  // What fails is counted when all have been sent.
  const send = (request: RequestInit) => answers.push(fetch(url, request).catch(() => null));
  const begin = performance.now();
  for (const [at, number] of numbers.entries()) {
    const request = assignment(number);
    const due = begin + (at * 1000) / DELIVERIES_PER_SECOND;
    await Bun.sleep(Math.max(0, due - performance.now()));
    sent.set(number, performance.timeOrigin + performance.now());
    send(request);
    if (at % TWICE_EVERY === 0) send(request);
  }
  const refused = (await Promise.all(answers)).filter((answer) => answer?.ok !== true).length;
  if (refused > 0) throw new Error(`${url} refused ${refused} deliveries`);
  const starts = await starters.waitForStarts(numbers);
  return [...sent].map(([number, at]) => (starts.get(number) ?? Number.NaN) - at);
}
