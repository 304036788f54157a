/** How often the clock is set again, and how long an answer may take to be trusted. */
const SET_EVERY_MS = 30_000;
const ROUND_TRIP_MS_MAX = 1000;

/**
 * The clock of the database as this process sees it, so that all processes count leases by one clock
 * whatever the clocks of their hosts say. Between two looks it goes on by the monotonic clock, which
 * no step of the wall clock moves. `ask` reads the database's time, epoch ms; the answer is taken to
 * be from the middle of its way, so it is wrong by at most half of that.
 */
export async function openDatabaseClock(options: {
  readonly ask: () => Promise<number>;
  readonly onFailed: (error: unknown) => void;
}): Promise<{ now(): number; stop(): void }> {
  const set = async (): Promise<number> => {
    const asked = performance.now();
    const time = await options.ask();
    const answered = performance.now();
    if (answered - asked > ROUND_TRIP_MS_MAX) throw new Error("the answer took too long");
    return time - (asked + answered) / 2;
  };
  let offset = await set();
  const timer = setInterval(() => {
    set().then((newer) => {
      offset = newer;
    }, options.onFailed);
  }, SET_EVERY_MS);
  timer.unref();
  return {
    now: () => Math.round(performance.now() + offset),
    stop: () => clearInterval(timer),
  };
}
