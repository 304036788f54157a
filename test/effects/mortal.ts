/** The service is killed here: nothing it does afterwards reaches anybody. */
class Killed extends Error {
  override readonly name = "Killed";
}

/** Kills one life at its n-th step; a step is the moment before or after a call to a port. */
export interface Fuse {
  readonly isBlown: boolean;
  step(): void;
}

export function fuse(steps: number): Fuse {
  let left = steps;
  return {
    get isBlown() {
      return left <= 0;
    },
    step() {
      if (left <= 0) throw new Killed("this life is over");
      left -= 1;
      if (left === 0) throw new Killed("killed here");
    },
  };
}

/** A port each of whose asynchronous calls may be the last thing its owner does, before or after it has worked. */
export function mortal<T extends object>(port: T, life: Fuse): T {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function" || name === "clockOffset") return value;
      return async (...given: unknown[]): Promise<unknown> => {
        life.step();
        const answer: unknown = await Reflect.apply(value, target, given);
        life.step();
        return answer;
      };
    },
  });
}
