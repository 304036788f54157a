import { mayGoOn } from "../domain/may-go-on.ts";
import type { Policy } from "../domain/policy.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { RunClaim } from "../ports/store/claims.ts";
import type { RunDependencies } from "./dependencies.ts";

/** A closed issue must end its run within 5 s, the end of the process included. */
const LOOK_EVERY_MS = 2000;

/**
 * Gives a function that is told the item's mark counter again and again: when the counter has changed
 * it looks at the forge, one look at a time and each some while after the one before, and calls
 * `objects` with the reason when the run may not go on. It never throws and is not waited for: a
 * forge that takes its time must not cost the lease.
 */
export function lookWhenMarked(
  claim: RunClaim,
  deps: Pick<RunDependencies, "readSnapshot" | "now" | "log">,
  run: {
    readonly policy: Policy;
    readonly isDone: () => boolean;
    readonly objects: (reason: string) => void;
  },
): (mark: number) => void {
  let seenMark = claim.mark;
  let lookedAt = 0;
  let isLooking = false;

  return (mark) => {
    const now = deps.now();
    if (isLooking || mark === seenMark || now - lookedAt < LOOK_EVERY_MS) return;
    lookedAt = now;
    isLooking = true;
    void look(mark).finally(() => {
      isLooking = false;
    });
  };

  /** Never rejects: an unknown state ends nothing, only an answer that shows it does. */
  async function look(mark: number): Promise<void> {
    try {
      const snapshot = await deps.readSnapshot(claim.item);
      seenMark = mark;
      const { policy } = run;
      const answer = mayGoOn(claim.order, { snapshot, policy, done: run.isDone() });
      if (!answer.ok) run.objects(answer.reason);
    } catch (error) {
      const reason = error instanceof ForgeFailure ? error.message : String(error);
      deps.log.warn("no snapshot for a living run", { ...claim.item, reason });
    }
  }
}
