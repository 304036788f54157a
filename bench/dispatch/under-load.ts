import { median } from "../median.ts";
import { createAssignments } from "./assignments.ts";
import { type Starters, startOf, startStarters } from "./starters.ts";

/** The load of test/chaos. */
const PER_SECOND = 40;
/** Every fifth delivery is sent a second time. */
const TWICE_EVERY = 5;
const LIFE_SECONDS = 0.3;

const ROUNDS = 5;
const SECONDS = 8;

/** Medians of one round, in milliseconds; `theirs` is null where adnanh/webhook is not installed. */
export interface LoadRound {
  readonly ours: number;
  readonly theirs: number | null;
}

/**
 * The same under a steady load: 40 deliveries a second, one in five sent twice, each starting a
 * command that lives for 0.3 s. Both take turns, a round each; before the first of them both are
 * loaded for as long once, as a service that has run a while was. That round comes first.
 */
export async function underLoad(dir: string): Promise<readonly [LoadRound, ...LoadRound[]]> {
  const assignment = await createAssignments();
  using starters = await startStarters(dir, LIFE_SECONDS);
  let first = 1;
  const round = async (): Promise<LoadRound> => {
    const [ours = Number.NaN, theirs = null] = await inTurns(starters.urls, async (url) => {
      const numbers = Array.from({ length: PER_SECOND * SECONDS }, (_, at) => first + at);
      first += numbers.length;
      return await load(starters, { url, numbers, assignment });
    });
    return { ours, theirs };
  };
  const warming = await round();
  const rounds: LoadRound[] = [];
  while (rounds.length < ROUNDS) rounds.push(await round());
  return [warming, ...rounds];
}

async function inTurns<T, R>(of: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const one of of) results.push(await work(one));
  return results;
}

/** Sends them in an open loop; the median of the milliseconds from sending one to the start of its stub. */
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
): Promise<number> {
  await starters.forget();
  const sent = new Map<number, number>();
  const answers: Promise<Response>[] = [];
  const begin = performance.now();
  for (const [at, number] of numbers.entries()) {
    const request = assignment(number);
    const due = begin + (at * 1000) / PER_SECOND;
    await Bun.sleep(Math.max(0, due - performance.now()));
    sent.set(number, performance.timeOrigin + performance.now());
    answers.push(fetch(url, request));
    if (at % TWICE_EVERY === 0) answers.push(fetch(url, request));
  }
  const refused = (await Promise.all(answers)).filter(({ ok }) => !ok).length;
  if (refused > 0) throw new Error(`${url} refused ${refused} deliveries`);
  for (const number of numbers) await startOf(starters, number);
  const starts = await starters.starts();
  return median([...sent].map(([number, at]) => (starts.get(number) ?? Number.NaN) - at));
}
