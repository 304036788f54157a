import type { WorkDependencies } from "./dependencies.ts";
import { resolveMarks } from "./resolve-marks.ts";
import { tellTrouble } from "./tell-trouble.ts";

/** The resolving of marks beside the loop, which is not waited for: a slow forge must not keep runs from beginning. */
export interface Resolving {
  /** Begins to resolve what is marked; while that goes on, it will have to be done once more. */
  begin(): void;
  /** Resolves when nothing is under way. */
  ended(): Promise<void>;
}

/** Resolves marks one batch at a time; `onMore` is called after a batch when there may be more to do. */
export function createResolving(deps: WorkDependencies, onMore: () => void): Resolving {
  const trouble = tellTrouble(deps, {
    broke: "marks could not be resolved",
    over: "marks are resolved again",
  });
  let underWay: Promise<void> | null = null;
  let isAskedAgain = false;

  return {
    begin: () => {
      // What was marked while marks are being resolved may have come too late for that.
      if (underWay !== null) isAskedAgain = true;
      else underWay = resolve();
    },
    ended: async () => {
      await underWay;
    },
  };

  async function resolve(): Promise<void> {
    isAskedAgain = false;
    try {
      if ((await resolveMarks(deps)) > 0) isAskedAgain = true;
      trouble.went();
    } catch (error) {
      trouble.broke(error);
    } finally {
      underWay = null;
      if (isAskedAgain) onMore();
    }
  }
}
