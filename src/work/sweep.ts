import type { ItemRef } from "../domain/snapshot.ts";
import { type ChangedItem, ForgeFailure } from "../ports/forge.ts";
import type { Mark } from "../ports/store/marks.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { isOfTheForge } from "./watch-forge.ts";

const SINCE_KEY = "sweep:since";
const LOCAL_KEY = "sweep:local";
/** A sweep looks back beyond the last one: updates are not visible to a search at once. */
const OVERLAP_MS = 10 * 60_000;
const SAME_SECOND_MS = 3000;
/** Items with something local that one sweep has read whether they changed or not; about seven calls each. */
const LOCAL_READS_MAX = 20;
/** Stored snapshots looked up before the event loop has its turn. */
const LOOK_UPS_OF_TURN = 20;
/** With more owners than this a search is not made for each, but once for all that the account may read. */
const OWNERS_MAX = 10;

/** How the newest sweep stands, for `/readyz`. */
export type SweepState = "running" | "done" | "failed";

/**
 * Asks the forge for everything that changed since the last complete sweep, and marks what differs
 * from the stored snapshots: this finds what no webhook told. It asks for every agent and for every
 * label that gives work. An item with something local may have left all of these (it was taken from
 * the agent), so it is asked for by its owner, too. What moves no `updated_at` (a dismissed review, a
 * commit status, an edited comment) is found by reading items with something local in turn, 20 in each
 * sweep. What a sweep costs when nothing changed does not depend on the number of repositories.
 * True when the whole sweep was done.
 */
export async function sweep(deps: WorkDependencies): Promise<boolean> {
  const startedAt = deps.now() + deps.forge.reader.clockOffset();
  const stored = await deps.store.meta.get(SINCE_KEY);
  const since = stored === null ? 0 : Math.max(0, Number(stored) - OVERLAP_MS);
  const local = await deps.store.work.localItems();
  const asked = await askAll(deps, since, local);
  const marks = new Map<string, Mark>();
  const add = ({ repo, number }: ItemRef): void => {
    marks.set(`${repo}#${number}`, { repo, target: { kind: "number", number } });
  };
  // What several searches list is looked up once; the newest answer counts.
  const changed = [...new Map(asked.changed.map((item) => [nameOf(item), item])).values()];
  for (const [index, item] of changed.entries()) {
    // At the first question there are many, and deliveries must not wait for all of them.
    if (index % LOOK_UPS_OF_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    if (deps.policy(item.repo) !== null && !(await isKnown(deps, item))) add(item);
  }
  for (const item of await nextLocal(deps, local)) add(item);
  await deps.store.work.mark([...marks.values()], false);
  if (asked.complete) await deps.store.meta.set(SINCE_KEY, `${startedAt}`);
  deps.log.debug("swept", {
    changed: changed.length,
    marked: marks.size,
    complete: asked.complete,
  });
  return asked.complete;
}

async function askAll(
  deps: WorkDependencies,
  since: number,
  local: readonly ItemRef[],
): Promise<{ readonly changed: readonly ChangedItem[]; readonly complete: boolean }> {
  const { sweepReader } = deps;
  const changed: ChangedItem[] = [];
  let complete = true;
  let isSuspect = false;
  const ask = async (question: () => Promise<readonly ChangedItem[]>): Promise<void> => {
    try {
      changed.push(...(await question()));
    } catch (error) {
      if (!(error instanceof ForgeFailure)) throw error;
      complete = false;
      deps.log.warn("a part of the sweep failed", { reason: error.message });
      // Once for each sweep: where nothing is waiting, nothing else notices that the forge is away.
      if (isSuspect || !isOfTheForge(error)) return;
      isSuspect = true;
      await deps.gates.suspect("forge");
    }
  };
  for (const { name } of deps.agents()) {
    await ask(async () => await sweepReader.changedFor(name, since));
  }
  for (const [label, owners] of ownersByLabel(deps)) {
    for (const owner of owners) {
      await ask(async () => {
        const found = await sweepReader.changedWithLabel(owner, label, since);
        return found.filter((item) => deps.policy(item.repo)?.repository.trigger.label === label);
      });
    }
  }
  // The few that are read in any case need no search, and without a time it would list everything.
  if (local.length <= LOCAL_READS_MAX || since === 0) return { changed, complete };
  const names = new Set(local.map(nameOf));
  for (const owner of scopesOf(local.map(({ repo }) => repo))) {
    await ask(async () => {
      const found = await sweepReader.changedOf(owner, since);
      const ours = await Promise.all(
        found.map(async (item) => names.has(nameOf(await itemOf(deps, item)))),
      );
      return found.filter((_, index) => ours[index] === true);
    });
  }
  return { changed, complete };
}

/** The labels that give work, each with the owners of the repositories where it does. */
function ownersByLabel(deps: WorkDependencies): ReadonlyMap<string, readonly (string | null)[]> {
  const repos = new Map<string, string[]>();
  for (const { repository } of deps.policies()) {
    const { label } = repository.trigger;
    if (label !== null) repos.set(label, [...(repos.get(label) ?? []), repository.repo]);
  }
  return new Map([...repos].map(([label, of]) => [label, scopesOf(of)]));
}

/** The owners of the repositories, or one null when there are too many of them to ask one by one. */
function scopesOf(repos: readonly string[]): readonly (string | null)[] {
  const owners = new Set(repos.map((repo) => repo.slice(0, repo.indexOf("/"))));
  return owners.size > OWNERS_MAX ? [null] : [...owners];
}

/** All of them while they are few, else the next ones in turn, after a restart too. */
async function nextLocal(
  deps: WorkDependencies,
  local: readonly ItemRef[],
): Promise<readonly ItemRef[]> {
  if (local.length <= LOCAL_READS_MAX) return local;
  const last = (await deps.store.meta.get(LOCAL_KEY)) ?? "";
  const place = last.lastIndexOf("#");
  const before = { repo: last.slice(0, Math.max(0, place)), number: Number(last.slice(place + 1)) };
  const inOrder = local.toSorted(compare);
  const later = inOrder.filter((item) => compare(item, before) > 0);
  const chosen = [...later, ...inOrder].slice(0, LOCAL_READS_MAX);
  const newest = chosen.at(-1);
  if (newest !== undefined) await deps.store.meta.set(LOCAL_KEY, nameOf(newest));
  return chosen;
}

function compare(a: ItemRef, b: ItemRef): number {
  if (a.repo !== b.repo) return a.repo < b.repo ? -1 : 1;
  return a.number - b.number;
}

function nameOf({ repo, number }: ItemRef): string {
  return `${repo}#${number}`;
}

/** The work item an issue or pull request belongs to, as far as it is known here. */
async function itemOf(deps: WorkDependencies, { repo, number }: ItemRef): Promise<ItemRef> {
  return { repo, number: (await deps.store.pulls.itemOf(repo, number)) ?? number };
}

/** Whether the stored snapshot already shows the issue or pull request as the search lists it. */
async function isKnown(deps: WorkDependencies, item: ChangedItem): Promise<boolean> {
  const { number, updatedAt, state } = item;
  const snapshot = await deps.store.work.snapshot(await itemOf(deps, item));
  if (snapshot === null) return false;
  const stored = snapshot.item.number === number ? snapshot : snapshot.pull;
  if (stored === null) return false;
  // The forge counts whole seconds: what was read in the second of a change may have missed it.
  const readAt = snapshot.readAt + deps.sweepReader.clockOffset();
  if (readAt - stored.updatedAt < SAME_SECOND_MS) return false;
  const samePull = "headSha" in stored ? stored.number === number : true;
  return samePull && stored.updatedAt === updatedAt && stored.state === state;
}
