/** Turns at one thing, in the order in which they were asked for. */
export interface Turns {
  /** Whether nobody has a turn. */
  areFree(): boolean;
  /** Resolves when one's turn has come; it lasts until `end`. */
  begin(): Promise<void>;
  end(): void;
  /** Does something in a turn; resolves or rejects as that does. */
  take<T>(work: () => Promise<T>): Promise<T>;
}

/** Makes turns that nobody has yet. */
export function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  let isTaken = false;
  const begin = async (): Promise<void> => {
    if (isTaken) await new Promise<void>((resolve) => waiting.push(resolve));
    isTaken = true;
  };
  const end = (): void => {
    const next = waiting.shift();
    // It stays taken until the next one goes on: nobody gets in between.
    if (next === undefined) isTaken = false;
    else next();
  };
  return {
    areFree: () => !isTaken,
    begin,
    end,
    async take(work) {
      await begin();
      try {
        return await work();
      } finally {
        end();
      }
    },
  };
}
