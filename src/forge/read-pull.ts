import type { Pull, Review } from "../domain/snapshot.ts";
import type { Caller } from "./calls.ts";
import { barePullOf, checksOf, lineCommentOf, reviewOf } from "./map.ts";
import { repoPath } from "./paths.ts";
import { FileRow, LineCommentRow, PullRow, ReviewRow, rowsOf, StatusRow } from "./schema.ts";

/**
 * A pull request with its reviews, checks and changed paths. `previous` spares what it proves
 * unchanged: the line comments of a review whose count is the same, the paths while head and base
 * are the same. Reviews and statuses of an open pull request are always read, because a dismissal
 * and a status move no `updated_at`. @throws ForgeFailure
 */
export async function readPull(
  caller: Caller,
  repo: string,
  row: PullRow,
  previous: Pull | null,
): Promise<Pull> {
  const facts = barePullOf(row);
  const known = previous?.number === row.number ? previous : null;
  const isSameCode = known?.headSha === facts.headSha && known.baseSha === facts.baseSha;
  const isSettled =
    known !== null && isSameCode && facts.state === "closed" && known.updatedAt === facts.updatedAt;
  if (isSettled && known !== null) return { ...known, ...facts };
  const [reviews, checks, changedPaths] = await Promise.all([
    readReviews(caller, repo, { number: row.number, known: known?.reviews ?? [] }),
    readChecks(caller, repo, facts.headSha),
    known !== null && isSameCode ? known.changedPaths : readPaths(caller, repo, row.number),
  ]);
  return {
    ...facts,
    reviews: reviews.filter(({ state }) => state !== "PENDING"),
    checks,
    changedPaths,
  };
}

/** Reads the pull request object. @throws ForgeFailure */
export async function readPullRow(caller: Caller, repo: string, number: number): Promise<PullRow> {
  return await caller.get(repoPath(repo, "pulls", number), PullRow);
}

/**
 * Every review the account may see, oldest first, PENDING drafts included (the forge shows them to
 * their author only). @throws ForgeFailure
 */
export async function readReviews(
  caller: Caller,
  repo: string,
  of: { readonly number: number; readonly known: readonly Review[] },
): Promise<readonly Review[]> {
  const path = repoPath(repo, "pulls", of.number, "reviews");
  const rows = await caller.list(path, ReviewRow);
  const reviews = await Promise.all(
    rows.map(async (row) => {
      const before = of.known.find(({ id }) => id === row.id)?.comments;
      if (row.comments_count === 0) return reviewOf(row, []);
      if (before?.length === row.comments_count) return reviewOf(row, before);
      const comments = await caller.get(`${path}/${row.id}/comments`, rowsOf(LineCommentRow));
      return reviewOf(row, comments.map(lineCommentOf));
    }),
  );
  return reviews
    .filter((review) => review !== null)
    .sort((a, b) => a.submittedAt - b.submittedAt || a.id - b.id);
}

async function readChecks(caller: Caller, repo: string, sha: string): Promise<Pull["checks"]> {
  if (sha === "") return [];
  const path = repoPath(repo, "commits", sha, "statuses");
  return checksOf(await caller.list(path, StatusRow));
}

/** Both names of a file that was renamed. */
async function readPaths(caller: Caller, repo: string, number: number): Promise<readonly string[]> {
  const rows = await caller.list(repoPath(repo, "pulls", number, "files"), FileRow);
  const names = rows.flatMap((row) => [row.filename, row.previous_filename]);
  return [...new Set(names.filter((name) => name !== ""))];
}
