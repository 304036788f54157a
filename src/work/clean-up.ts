import { isOurs } from "../domain/hidden-line.ts";
import type { Ledger } from "../domain/ledger.ts";
import { parseAgentBranch } from "../domain/resolve-item.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import { ForgeFailure } from "../ports/forge.ts";
import { GitFailure } from "../ports/git.ts";
import type { WorkDependencies } from "./dependencies.ts";

/**
 * Leaves nothing of an ended item behind: every agent's session with its transcript, the clones,
 * and the merged branch if it still stands at the merged head (tried once).
 */
export async function cleanUp(
  deps: WorkDependencies,
  item: ItemRef,
  snapshot: Snapshot,
  ledger: Ledger,
): Promise<void> {
  const sessions = await deps.dropSessions(item);
  const clones = await deps.git.removeClones(item);
  await deps.store.ledger.clonesRemoved(item);
  await closeIntents(deps, snapshot);
  if (snapshot.pull?.merged === true) {
    for (const branch of ledger.leftovers.branches) await deleteMerged(deps, snapshot, branch);
  }
  deps.log.info("cleaned up", { ...item, sessions, clones });
}

/** What was begun and is not seen on the forge will not be done any more. */
async function closeIntents(deps: WorkDependencies, snapshot: Snapshot): Promise<void> {
  for (const { id, key, tool } of await deps.store.effects.openIntents(snapshot.item)) {
    const ref = shownIn(snapshot, { key, tool }, deps.agents());
    await deps.store.effects.finish(
      id,
      ref === null
        ? { state: "refused", ref, text: "The work item ended before it was done." }
        : { state: "done", ref, text: "It was found on the forge when the work item ended." },
    );
  }
}

/** The number or id of what an effect has made, by its hidden line; null: it is not there. */
function shownIn(
  { pull, comments }: Snapshot,
  effect: { readonly key: string; readonly tool: string },
  agents: readonly { readonly login: string }[],
): number | null {
  if (effect.tool === "request_merge") return pull?.merged === true ? pull.number : null;
  const isMade = (text: Parameters<typeof isOurs>[0]): boolean =>
    agents.some(({ login }) => isOurs(text, effect.key, login));
  if (pull !== null && isMade(pull)) return pull.number;
  return [...comments, ...(pull?.reviews ?? [])].find(isMade)?.id ?? null;
}

async function deleteMerged(
  deps: WorkDependencies,
  snapshot: Snapshot,
  branch: string,
): Promise<void> {
  const { item, pull } = snapshot;
  const agent = parseAgentBranch(branch)?.agent;
  if (pull === null || agent === undefined) return;
  try {
    // Only the branch that was merged, and only as it was merged.
    if (pull.headBranch !== branch || !(await stillAtHead(deps, snapshot, branch))) return;
    const gone = await deps.forge.actor(agent).deleteBranch(item.repo, branch);
    if (gone) deps.log.info("branch deleted", { ...item, branch, agent });
  } catch (error) {
    if (!(error instanceof ForgeFailure) && !(error instanceof GitFailure)) throw error;
    deps.log.warn("the merged branch could not be deleted", {
      ...item,
      branch,
      reason: error.message,
    });
  } finally {
    await deps.store.ledger.branchTried(item, branch);
  }
}

/** Somebody may have pushed to the branch after the merge: then it is theirs now. */
async function stillAtHead(
  deps: WorkDependencies,
  { item, pull }: Snapshot,
  branch: string,
): Promise<boolean> {
  const head = await deps.git.remoteHead(item.repo, branch);
  return head === null || head === pull?.headSha;
}
