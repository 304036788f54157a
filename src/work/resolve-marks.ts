import PQueue from "p-queue";
import { backoffMs } from "../domain/backoff.ts";
import type { Policy } from "../domain/policy.ts";
import { itemOfPull, parseAgentBranch } from "../domain/resolve-item.ts";
import type { ItemRef } from "../domain/snapshot.ts";
import { ForgeFailure } from "../ports/forge.ts";
import type { Mark, MarkMove, MarkRow } from "../ports/store/marks.ts";
import type { WorkDependencies } from "./dependencies.ts";
import { isOfTheForge } from "./watch-forge.ts";

const BATCH = 50;
/** Asked about at once; the forge's own rate limit is behind it. */
const AT_ONCE_MAX = 8;
const BACKOFF = { firstMs: 1000, mostMs: 60_000 };
const ITEMS_OF_BASE_MAX = 200;
/** From so many answers that one mark was not given, the whole forge is suspect. */
const SUSPECT_TRIES = 3;

/**
 * Finds out which work items the waiting marks mean and moves them there, several at once. A mark
 * whose answer the forge does not give now stays and is asked about later, each time after a longer
 * wait, so that it holds up no other. Resolves with how many were asked about.
 */
export async function resolveMarks(deps: WorkDependencies): Promise<number> {
  const rows = await deps.store.work.unresolved(BATCH);
  const known: MarkMove[] = [];
  const asked: MarkRow[] = [];
  for (const row of rows) {
    const items = await itemsKnown(deps, row.mark);
    if (items === null) asked.push(row);
    else known.push({ row, items });
  }
  // In a storm most marks are of known items: one transaction for all, not one each.
  await deps.store.work.resolve(known);
  if (asked.length === 0) return rows.length;
  const queue = new PQueue({ concurrency: AT_ONCE_MAX });
  await queue.addAll(asked.map((row) => async () => await resolveOrPostpone(deps, row)));
  return rows.length;
}

/** What can be told without the forge; null: it has to be asked. */
async function itemsKnown(
  deps: WorkDependencies,
  { repo, target }: Mark,
): Promise<readonly ItemRef[] | null> {
  const policy = deps.policy(repo);
  if (policy === null) return [];
  const number = await numberKnown(deps, { repo, target }, policy);
  return number === null ? null : [{ repo, number }];
}

async function numberKnown(
  deps: WorkDependencies,
  { repo, target }: Mark,
  policy: Policy,
): Promise<number | null> {
  if (target.kind === "sha") return null;
  if (target.kind === "branch") {
    const own = parseAgentBranch(target.branch);
    const isOurs = own !== null && policy.agents.some(({ name }) => name === own.agent);
    return isOurs ? own.number : null;
  }
  // A known work item stays one, whatever the forge answers just now.
  return await deps.store.pulls.itemOfNumber(repo, target.number);
}

async function resolveOrPostpone(deps: WorkDependencies, row: MarkRow): Promise<void> {
  try {
    await resolveOne(deps, row);
  } catch (error) {
    if (!(error instanceof ForgeFailure)) throw error;
    // A number that is not there concerns nothing, unless it became known meanwhile; everything else is no answer.
    if (error.kind === "not_found") {
      const items = (await itemsKnown(deps, row.mark)) ?? [];
      await deps.store.work.resolve([{ row, items }]);
      return;
    }
    const wait = deps.now() + backoffMs(row.tries + 1, BACKOFF, deps.chance());
    const until = Math.max(wait, Math.min(error.retryAt ?? 0, deps.now() + BACKOFF.mostMs));
    await deps.store.work.postpone(row, until);
    deps.log.warn("a mark could not be resolved", {
      ...describe(row.mark),
      attempt: row.tries + 1,
      retry_at: new Date(until).toISOString(),
      reason: error.message,
    });
    // Of an item that is not known yet nothing else would tell that the forge is away.
    if (row.tries + 1 >= SUSPECT_TRIES && isOfTheForge(error)) await deps.gates.suspect("forge");
  }
}

async function resolveOne(deps: WorkDependencies, row: MarkRow): Promise<void> {
  const { repo } = row.mark;
  const policy = deps.policy(repo);
  const numbers = policy === null ? [] : await numbersOf(deps, row.mark, policy);
  const items = [...new Set(numbers)].map((number): ItemRef => ({ repo, number }));
  await deps.store.work.resolve([{ row, items }]);
}

async function numbersOf(
  deps: WorkDependencies,
  { repo, target }: Mark,
  policy: Policy,
): Promise<readonly number[]> {
  switch (target.kind) {
    case "number":
      // Whether it is known was asked just before.
      return [await itemAsked(deps, { repo, number: target.number }, policy)];
    case "branch": {
      if (target.branch === policy.repository.base) return await itemsWithPull(deps, repo);
      const pulls = await deps.forge.reader.pullsByBranch(repo, target.branch);
      const open = pulls.filter(({ state }) => state === "open");
      return await Promise.all(
        open.map(async ({ number }) => await itemOfNumber(deps, { repo, number }, policy)),
      );
    }
    case "sha": {
      const pulls = await deps.forge.reader.pullsBySha(repo, target.sha);
      return await Promise.all(
        pulls.map(async (number) => await itemOfNumber(deps, { repo, number }, policy)),
      );
    }
  }
}

async function itemOfNumber(
  deps: WorkDependencies,
  { repo, number }: ItemRef,
  policy: Policy,
): Promise<number> {
  const known = await numberKnown(deps, { repo, target: { kind: "number", number } }, policy);
  return known ?? (await itemAsked(deps, { repo, number }, policy));
}

/** The work item of a number that is not known yet, as the forge has it. */
async function itemAsked(
  deps: WorkDependencies,
  { repo, number }: ItemRef,
  policy: Policy,
): Promise<number> {
  const facts = await deps.forge.reader.lookUp(repo, number);
  if (facts.kind === "issue") return number;
  const pushed = await branchesPushed(deps, facts.headBranch, repo);
  return await deps.store.pulls.write(
    repo,
    number,
    itemOfPull(facts, policy, () => pushed),
  );
}

async function branchesPushed(
  deps: WorkDependencies,
  branch: string,
  repo: string,
): Promise<boolean> {
  const named = parseAgentBranch(branch);
  if (named === null) return false;
  const { leftovers } = await deps.store.ledger.read({ repo, number: named.number });
  return leftovers.branches.includes(branch);
}

/** A push to the base may make open pull requests conflict or out of date. */
async function itemsWithPull(deps: WorkDependencies, repo: string): Promise<readonly number[]> {
  const found: number[] = [];
  let before: string | null = null;
  do {
    const page = await deps.store.work.items(ITEMS_OF_BASE_MAX, before);
    for (const row of page.rows) if (row.repo === repo && row.pull !== null) found.push(row.number);
    before = page.next;
  } while (before !== null && found.length < ITEMS_OF_BASE_MAX);
  return found;
}

function describe({ repo, target }: Mark): { repo: string; target: string } {
  switch (target.kind) {
    case "number":
      return { repo, target: `#${target.number}` };
    case "branch":
      return { repo, target: target.branch };
    case "sha":
      return { repo, target: target.sha };
  }
}
