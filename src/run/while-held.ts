import { type ForgeActor, ForgeFailure } from "../ports/forge.ts";
import { type Git, GitFailure } from "../ports/git.ts";

const LOST = "the right to this work item is lost or about to be; somebody else may have it";

/**
 * The same account, which writes nothing any more once `holds` says false: asked at the last moment,
 * because a process can be stopped between any two of its steps and wake up when its lease is long
 * another's.
 */
export function actorWhileHeld(actor: ForgeActor, holds: () => boolean): ForgeActor {
  const held = async <T>(act: () => Promise<T>): Promise<T> => {
    if (!holds()) throw new ForgeFailure("unavailable", LOST);
    return await act();
  };
  return {
    login: actor.login,
    reviews: async (...of) => await actor.reviews(...of),
    comment: async (...of) => await held(() => actor.comment(...of)),
    react: async (...of) => await held(() => actor.react(...of)),
    openPull: async (...of) => await held(() => actor.openPull(...of)),
    submitReview: async (...of) => await held(() => actor.submitReview(...of)),
    deleteReview: async (...of) => await held(() => actor.deleteReview(...of)),
    requestReview: async (...of) => await held(() => actor.requestReview(...of)),
    merge: async (...of) => await held(() => actor.merge(...of)),
    cancelScheduledMerge: async (...of) => await held(() => actor.cancelScheduledMerge(...of)),
    deleteBranch: async (...of) => await held(() => actor.deleteBranch(...of)),
  };
}

/** The same git, which pushes nothing any more once `holds` says false. */
export function gitWhileHeld(git: Git, holds: () => boolean): Git {
  return {
    ...git,
    async push(order) {
      if (!holds()) throw new GitFailure("unavailable", LOST);
      return await git.push(order);
    },
  };
}
