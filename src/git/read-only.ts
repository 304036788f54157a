import type { ItemRef } from "../domain/snapshot.ts";
import { isRealDirectory } from "./clone-files.ts";
import { type Place, readOnlyRef } from "./place.ts";

interface Whose {
  readonly item: ItemRef;
  readonly agent: string;
}

/** Whether the clone was made for a run that only reads: nothing is fetched from it. @throws GitFailure */
export async function isReadOnly(place: Place, { item, agent }: Whose): Promise<boolean> {
  const cwd = place.cache.path(item.repo);
  if (!(await isRealDirectory(cwd))) return false;
  const { exitCode } = await place.git({
    args: ["rev-parse", "--verify", "--quiet", readOnlyRef(agent, item.number)],
    cwd,
    exits: [0, 1],
  });
  return exitCode === 0;
}

/** @throws GitFailure */
export async function markReadOnly(place: Place, whose: Whose, sha: string): Promise<void> {
  await update(place, whose, [readOnlyRef(whose.agent, whose.item.number), sha]);
}

/** @throws GitFailure */
export async function unmarkReadOnly(place: Place, whose: Whose): Promise<void> {
  if (!(await isReadOnly(place, whose))) return;
  await update(place, whose, ["-d", readOnlyRef(whose.agent, whose.item.number)]);
}

async function update(place: Place, { item }: Whose, args: readonly string[]): Promise<void> {
  await place.git({ args: ["update-ref", ...args], cwd: place.cache.path(item.repo) });
}
