const DEADLINE_MS = 15_000;
const PAUSE_MS = 10;

/**
 * Asks again and again until there is an answer.
 * @returns the answer, or undefined when none came within 15 seconds.
 */
export async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) return undefined;
    await Bun.sleep(PAUSE_MS);
  }
}
