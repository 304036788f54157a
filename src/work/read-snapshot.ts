import { ACCOUNT_KEY } from "../domain/asked-text.ts";
import { agentsWith, namedLogin } from "../domain/people.ts";
import type { Policy } from "../domain/policy.ts";
import { agentBranch } from "../domain/resolve-item.ts";
import type { Account, ItemRef, Snapshot } from "../domain/snapshot.ts";
import type { ForgeReader } from "../ports/forge.ts";
import type { Log } from "../ports/observe.ts";
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
  readonly log?: Log;
}): (item: ItemRef) => Promise<Snapshot> {
  const { reader, store, policy } = parts;
  const pin = pinLogins(store, parts.log);
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
    const entries = found?.repository.mayTrigger;
    if (entries === undefined || typeof entries === "string") return snapshot;
    return { ...snapshot, named: await pin(entries, snapshot) };
  };
}

/**
 * Remembers under which id each named login was first seen. A login can be given up and taken by
 * somebody else; what counts stays the account that the operator meant.
 */
function pinLogins(
  store: Pick<Store, "meta">,
  log: Log | undefined,
): (entries: readonly string[], snapshot: Snapshot) => Promise<Readonly<Record<string, number>>> {
  const known = new Map<string, number>();
  const told = new Set<string>();
  return async (entries, snapshot) => {
    const shown = accountsIn(snapshot);
    const named: Record<string, number> = {};
    for (const entry of entries) {
      const { login, id } = namedLogin(entry);
      if (id !== null) continue;
      const now = shown.find((account) => account.login.toLowerCase() === login);
      const kept = known.get(login) ?? readId(await store.meta.get(`${ACCOUNT_KEY}${login}`));
      const first = kept ?? now?.id;
      if (first === undefined) continue;
      if (kept === null) await store.meta.set(`${ACCOUNT_KEY}${login}`, `${first}`);
      known.set(login, first);
      named[login] = first;
      if (now === undefined || now.id === first || told.has(`${login}#${now.id}`)) continue;
      told.add(`${login}#${now.id}`);
      log?.warn(
        `another account is called ${now.login} now (id ${now.id}, before ${first}); it gives no work unless may_trigger says ${login}#${now.id}`,
        { ...snapshot.item },
      );
    }
    return named;
  };
}

function readId(text: string | null): number | null {
  return text === null ? null : Number(text);
}

/** Everybody who could have given work. */
function accountsIn(snapshot: Snapshot): readonly Account[] {
  const { author, writers, comments, acts, pull } = snapshot;
  return [
    author,
    ...writers,
    ...comments.map((comment) => comment.author),
    ...acts.map(({ actor }) => actor),
    ...(pull === null ? [] : [pull.author, ...pull.reviews.map((review) => review.author)]),
  ];
}
