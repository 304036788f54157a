import { GitFailure, type WorkspaceOrder } from "../ports/git.ts";
import { readHead } from "./clone-files.ts";
import { type Place, preparedRef, removedRun } from "./place.ts";
import type { RefTable } from "./ref-table.ts";
import { isAncestor } from "./refs.ts";
import { takeCommits } from "./take-commits.ts";

/** What is known of the remote when commits are looked for that it lacks. */
export interface Known {
  readonly refs: RefTable;
  /** Shas of the base and, where there is one, of the branch. */
  readonly remote: readonly string[];
}

/**
 * Keeps the commits of a found clone that neither the base nor its branch has, in the cache. A clone
 * that stands where it was prepared, or where one of these two stands, costs no git. One whose commits
 * cannot be read has nothing that could be kept; that is told, not thrown.
 * @returns the ref they are kept under, or null when there are none. @throws GitFailure
 */
export async function keepLocal(
  place: Place,
  order: WorkspaceOrder,
  root: string,
  { refs, remote }: Known,
): Promise<string | null> {
  try {
    const head = await readHead(root);
    const prepared = refs.sha(preparedRef(order.agent, order.item.number));
    if (head === null || head === prepared || remote.includes(head)) return null;
    return await place.cache.exclusive(order.item.repo, (cache) =>
      keepNew(place, { order, cache, root, refs, remote, head }),
    );
  } catch (error) {
    if (!(error instanceof GitFailure) || error.kind !== "broken") throw error;
    place.log.warn("the commits of a clone could not be kept", {
      repo: order.item.repo,
      number: order.item.number,
      agent: order.agent,
      run: order.run,
      error: error.message,
    });
    return null;
  }
}

/** What was kept of a clone that was removed to make room, if no remote has it by now. @throws GitFailure */
export async function keptAtRemoval(
  { git, cache }: Place,
  { item, agent }: WorkspaceOrder,
  { refs, remote }: Known,
): Promise<string | null> {
  const ref = `refs/claude-hooks/${removedRun(agent, item.number)}`;
  const head = refs.sha(ref);
  if (head === null) return null;
  for (const sha of remote) {
    if (await isAncestor(git, cache.path(item.repo), { of: sha, commit: head })) return null;
  }
  return ref;
}

async function keepNew(
  place: Place,
  at: Known & {
    readonly order: WorkspaceOrder;
    readonly cache: string;
    readonly root: string;
    readonly head: string;
  },
): Promise<string | null> {
  const { git, cacheScratch: scratch } = place;
  const { order, cache, root, refs, remote, head } = at;
  const incoming = `refs/incoming/${order.agent}-${order.item.number}`;
  const isThere = refs.standsAt(head);
  const taken = isThere ? head : await takeCommits({ git, cache, root, ref: incoming, scratch });
  if (taken === null) return null;
  const contained = remote.map(
    async (sha) => await isAncestor(git, cache, { of: sha, commit: taken }),
  );
  const isNew = !(await Promise.all(contained)).includes(true);
  const ref = `refs/claude-hooks/${order.run}`;
  const changes = [
    ...(isThere ? [] : [`delete ${incoming}`]),
    ...(isNew ? [`update ${ref} ${taken}`] : []),
  ];
  if (changes.length > 0) {
    await git({ args: ["update-ref", "--stdin"], cwd: cache, input: `${changes.join("\n")}\n` });
  }
  return isNew ? ref : null;
}
