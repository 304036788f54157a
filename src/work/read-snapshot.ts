import { agentsWith } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import { agentBranch } from "../domain/resolve-item.ts";
import type { ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { ForgeReader } from "../ports/forge.ts";
import type { Store } from "../ports/store.ts";

/**
 * Makes the function that reads one item: with the pull requests known to belong to it and those
 * on the branches of our agents, and writes the ones it finds into the pull table.
 * The returned function throws ForgeFailure.
 */
export function createSnapshotReader(parts: {
  readonly reader: ForgeReader;
  readonly store: Store;
  readonly policy: (repo: string) => Policy | null;
}): (item: ItemRef) => Promise<Snapshot> {
  const { reader, store, policy } = parts;
  return async (item) => {
    const found = policy(item.repo);
    const branches = (found === null ? [] : agentsWith("implement", found)).map((agent) => ({
      branch: agentBranch(agent.name, item.number),
      author: agent.login,
    }));
    const pulls = await store.pulls.pullsOf(item);
    const previous = await store.work.snapshot(item);
    const snapshot = await reader.snapshot({ item, pulls, branches, previous });
    const { pull } = snapshot;
    if (pull !== null && !pulls.includes(pull.number)) {
      await store.pulls.write(item.repo, pull.number, item.number);
    }
    return snapshot;
  };
}
