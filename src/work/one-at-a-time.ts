/** Makes a function that does things with one name one after another; things with other names do not wait. */
export function oneAtATime(): <T>(name: string, action: () => Promise<T>) => Promise<T> {
  const tails = new Map<string, Promise<unknown>>();
  return async (name, action) => {
    const before = tails.get(name) ?? Promise.resolve();
    const mine = before.then(action, action);
    const tail = mine.then(
      () => undefined,
      () => undefined,
    );
    tails.set(name, tail);
    try {
      return await mine;
    } finally {
      if (tails.get(name) === tail) tails.delete(name);
    }
  };
}
