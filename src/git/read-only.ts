import type { ItemRef } from "../domain/snapshot.ts";
import { isRealDirectory } from "./clone-files.ts";
import { type Place, readOnlyRef } from "./place.ts";

/** Whether the clone was made for a run that only reads: nothing is fetched from it. @throws GitFailure */
export async function isReadOnly(
  place: Place,
  { item, agent }: { readonly item: ItemRef; readonly agent: string },
): Promise<boolean> {
  const cwd = place.cache.path(item.repo);
  if (!(await isRealDirectory(cwd))) return false;
  const { exitCode } = await place.git({
    args: ["rev-parse", "--verify", "--quiet", readOnlyRef(agent, item.number)],
    cwd,
    exits: [0, 1],
  });
  return exitCode === 0;
}
