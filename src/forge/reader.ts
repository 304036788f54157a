import type { Account } from "../domain/snapshot.ts";
import { ForgeFailure, type ForgeReader } from "../ports/forge.ts";
import type { Caller } from "./calls.ts";
import { findOpenPullsBySha, findPulls } from "./find-pulls.ts";
import { accountOf, headBranchOf, isSameRepo } from "./map.ts";
import { repoPath } from "./paths.ts";
import { readPull, readPullRow } from "./read-pull.ts";
import { readComments, readSnapshot } from "./read-snapshot.ts";
import { IssueRow, NumberRow, VersionRow } from "./schema.ts";
import { findChanged, findChangedOf, findLabelled } from "./search.ts";

/** The reads of the port, by one caller; `asAgent` gives callers with an agent's own token. */
export function createReader(by: {
  readonly caller: Caller;
  readonly asAgent: (agent: string) => Caller;
  readonly writers: (repo: string) => Promise<readonly Account[]>;
  readonly now: () => number;
  readonly clockOffset: () => number;
}): ForgeReader {
  const { caller, clockOffset } = by;
  return {
    clockOffset,
    version: async () => (await caller.get("/version", VersionRow)).version,
    lookUp: async (repo, number) => {
      const issue = await caller.get(repoPath(repo, "issues", number), IssueRow);
      if (!issue.pull_request) return { kind: "issue", number };
      const row = await readPullRow(caller, repo, number);
      const author = accountOf(row.user);
      const head = { headBranch: headBranchOf(row), sameRepo: isSameRepo(row) };
      return { kind: "pull", number, ...head, author };
    },
    pullsByBranch: async (repo, branch) => {
      const rows = await findPulls(caller, repo, { branches: [branch], since: 0, state: "all" });
      return await Promise.all(rows.map((row) => readPull(caller, repo, row, null)));
    },
    pullsBySha: async (repo, sha) => await pullsBySha(caller, repo, sha),
    snapshot: async (query) => await readSnapshot(by, query),
    pull: async (repo, number) =>
      await readPull(caller, repo, await readPullRow(caller, repo, number), null),
    comments: async (repo, number) => await readComments(caller, repo, number),
    changedFor: async (agent, since) => await findChanged(by.asAgent(agent), since),
    changedWithLabel: async (owner, label, since) =>
      await findLabelled(caller, owner, label, since),
    changedOf: async (owner, since) => await findChangedOf(caller, owner, since),
  };
}

/**
 * Open pull requests with this head, and the one that was merged as this commit, which is all that
 * `/commits/{sha}/pull` knows (Forgejo: routers/api/v1/repo/commits.go). @throws ForgeFailure
 */
async function pullsBySha(caller: Caller, repo: string, sha: string): Promise<readonly number[]> {
  const open = await findOpenPullsBySha(caller, repo, sha);
  if (open.length > 0) return open;
  try {
    return [(await caller.get(repoPath(repo, "commits", sha, "pull"), NumberRow)).number];
  } catch (error) {
    if (error instanceof ForgeFailure && error.kind === "not_found") return [];
    throw error;
  }
}
