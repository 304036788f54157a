import { type Caller, PAGE_SIZE, PAGES_MAX, tooLong } from "./calls.ts";
import { headBranchOf, isSameRepo } from "./map.ts";
import { repoPath } from "./paths.ts";
import { PullRow } from "./schema.ts";

/**
 * Pull requests, open and ended, whose head is one of the branches in the repository itself.
 * Forgejo 16 and newer filters by `head`; older ones and Gitea ignore what they do not know and
 * list everything, newest first, so the answer is filtered again here, and such a list is read
 * only to what was created before `since` (epoch ms; 0: all). @throws ForgeFailure
 */
export async function findPulls(
  caller: Caller,
  repo: string,
  of: {
    readonly branches: readonly string[];
    readonly since: number;
    readonly state: "all" | "open";
  },
): Promise<readonly PullRow[]> {
  const found = new Map<number, PullRow>();
  for (const branch of of.branches) {
    const rows = await listPulls(caller, repo, { ...of, head: branch });
    const isFiltered = rows.every((row) => headBranchOf(row) === branch);
    for (const row of rows)
      if (isSameRepo(row) && of.branches.includes(headBranchOf(row))) found.set(row.number, row);
    if (!isFiltered) break;
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

/** Open pull requests whose head is the commit. @throws ForgeFailure */
export async function findOpenPullsBySha(
  caller: Caller,
  repo: string,
  sha: string,
): Promise<readonly number[]> {
  const rows = await listPulls(caller, repo, { state: "open", since: 0, head: null });
  return rows.filter((row) => row.head.sha === sha).map((row) => row.number);
}

async function listPulls(
  caller: Caller,
  repo: string,
  of: { readonly state: "all" | "open"; readonly since: number; readonly head: string | null },
): Promise<readonly PullRow[]> {
  const path = repoPath(repo, "pulls");
  const query = { state: of.state, ...(of.head === null ? {} : { head: of.head }) };
  const rows: PullRow[] = [];
  for (let number = 1; number <= PAGES_MAX; number += 1) {
    const page = await caller.page(path, PullRow, {
      ...query,
      page: String(number),
      limit: String(PAGE_SIZE),
    });
    rows.push(...page.rows);
    const isEnd =
      page.rows.length === 0 ||
      (page.total === null
        ? !(page.hasNext ?? page.rows.length >= PAGE_SIZE)
        : rows.length >= page.total);
    if (isEnd || isOlder(rows, of.since)) return rows;
  }
  throw tooLong(path);
}

/** Whether a list that stands in order of creation has come to what is older than `since`. */
function isOlder(rows: readonly PullRow[], since: number): boolean {
  const isNewestFirst = rows.every((row, index) => {
    const before = rows[index - 1];
    return before === undefined || before.created_at >= row.created_at;
  });
  const last = rows.at(-1);
  return isNewestFirst && last !== undefined && last.created_at < since;
}
