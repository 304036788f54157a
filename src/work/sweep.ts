import type { ChangedItem } from "../ports/forge.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { Mark } from "../ports/store.ts";
import type { WorkDependencies } from "./dependencies.ts";

const SINCE_KEY = "sweep:since";
/** A sweep looks back beyond the last one: updates are not visible to a search at once. */
const OVERLAP_MS = 10 * 60_000;
const SAME_SECOND_MS = 3000;

export type SweepState = "running" | "done" | "failed";

/**
 * Asks the forge, for every agent, for everything that changed since the last complete sweep, and
 * marks what differs from the stored snapshots, besides every item with something local: this finds
 * what no webhook told. True when the whole sweep was done.
 */
export async function sweep(deps: WorkDependencies): Promise<boolean> {
  const startedAt = deps.now() + deps.forge.reader.clockOffset();
  const stored = await deps.store.meta.get(SINCE_KEY);
  const since = stored === null ? 0 : Math.max(0, Number(stored) - OVERLAP_MS);
  const changed: ChangedItem[] = [];
  let complete = true;
  const ask = async (question: () => Promise<readonly ChangedItem[]>): Promise<void> => {
    try {
      changed.push(...(await question()));
    } catch (error) {
      if (!(error instanceof ForgeFailure)) throw error;
      complete = false;
      deps.log.warn("a part of the sweep failed", { reason: error.message });
    }
  };
  for (const { name } of deps.agents()) {
    await ask(async () => await deps.sweepReader.changedFor(name, since));
  }
  for (const { repository } of deps.policies()) {
    const { label } = repository.trigger;
    if (label === null) continue;
    await ask(async () => await deps.sweepReader.changedWithLabel(repository.repo, label, since));
  }
  const marks = await marksFor(deps, changed);
  await deps.store.work.mark(marks, false);
  if (complete) await deps.store.meta.set(SINCE_KEY, `${startedAt}`);
  deps.log.debug("swept", { changed: changed.length, marked: marks.length, complete });
  return complete;
}

async function marksFor(
  deps: WorkDependencies,
  changed: readonly ChangedItem[],
): Promise<readonly Mark[]> {
  const marks = new Map<string, Mark>();
  const add = (repo: string, number: number): void => {
    marks.set(`${repo}#${number}`, { repo, target: { kind: "number", number } });
  };
  for (const item of changed) {
    if (deps.policy(item.repo) === null || (await isKnown(deps, item))) continue;
    add(item.repo, item.number);
  }
  for (const { repo, number } of await deps.store.work.localItems()) add(repo, number);
  return [...marks.values()];
}

/** Whether the stored snapshot already shows the issue or pull request as the search lists it. */
async function isKnown(
  deps: WorkDependencies,
  { repo, number, updatedAt, state }: ChangedItem,
): Promise<boolean> {
  const owner = (await deps.store.pulls.itemOf(repo, number)) ?? number;
  const snapshot = await deps.store.work.snapshot({ repo, number: owner });
  if (snapshot === null) return false;
  const stored = snapshot.item.number === number ? snapshot : snapshot.pull;
  if (stored === null) return false;
  // The forge counts whole seconds: what was read in the second of a change may have missed it.
  const readAt = snapshot.readAt + deps.sweepReader.clockOffset();
  if (readAt - stored.updatedAt < SAME_SECOND_MS) return false;
  const samePull = "headSha" in stored ? stored.number === number : true;
  return samePull && stored.updatedAt === updatedAt && stored.state === state;
}
