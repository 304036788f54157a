import { setTimeout as wait } from "node:timers/promises";
import { type CloneUse, GitFailure } from "../ports/git.ts";

/** An interrupted child is gone in a few seconds, a killed one at once. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 25;

/** Who works in which clone. Everything that changes or removes a clone takes it first. */
export interface CloneUses {
  /**
   * Takes the clone at `path`, whether it exists or not. Waits while somebody else has it or a child
   * that was told of lives in it. @throws GitFailure `timeout` when that does not end
   */
  take(path: string): Promise<CloneUse>;
  /** The same at once: null when it is in use. */
  tryTake(path: string): CloneUse | null;
}

interface Use {
  released: boolean;
  isChildAlive: () => boolean;
}

/** `patienceMs`: how long a clone in use is waited for; 20 s when absent. */
export function createCloneUses(patienceMs: number = PATIENCE_MS): CloneUses {
  const uses = new Map<string, Use>();

  const tryTake = (path: string): CloneUse | null => {
    const before = uses.get(path);
    if (before !== undefined && (!before.released || before.isChildAlive())) return null;
    const use: Use = { released: false, isChildAlive: () => false };
    uses.set(path, use);
    return {
      child: (isAlive) => {
        use.isChildAlive = isAlive;
      },
      release: () => {
        use.released = true;
        if (uses.get(path) === use && !use.isChildAlive()) uses.delete(path);
      },
    };
  };
  return {
    tryTake,
    take: async (path) => {
      const end = performance.now() + patienceMs;
      for (;;) {
        const use = tryTake(path);
        if (use !== null) return use;
        if (performance.now() > end) {
          throw new GitFailure("timeout", `the clone ${path} is still in use by a process`);
        }
        await wait(LOOK_MS);
      }
    },
  };
}
