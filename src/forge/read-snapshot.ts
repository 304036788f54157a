import type { Account, Act, Comment, Pull, Snapshot } from "../domain/snapshot.ts";
import type { SnapshotQuery } from "../ports/forge.ts";
import type { Caller } from "./calls.ts";
import { findPulls } from "./find-pulls.ts";
import { accountOf, commentOf, headBranchOf } from "./map.ts";
import { repoPath } from "./paths.ts";
import { readPull, readPullRow } from "./read-pull.ts";
import { readActs } from "./read-timeline.ts";
import { CommentRow, IssueRow, type PullRow, rowsOf } from "./schema.ts";

/** What reading a snapshot needs besides the forge. */
export interface SnapshotReader {
  readonly caller: Caller;
  readonly writers: (repo: string) => Promise<readonly Account[]>;
  readonly now: () => number;
  readonly clockOffset: () => number;
}

/**
 * The forge keeps whole seconds: what was read within this time after a change may have missed
 * another change of the same second, and proves nothing.
 */
const SAME_SECOND_MS = 3_000;

/**
 * Reads a work item in layers. First the issue and its newest pull request; then, where
 * `previous` does not prove them unchanged (updated_at, state), their comments and timeline. The
 * comments of what is open are read in any case, all of them in one answer: editing or deleting one
 * need not move the issue. @throws ForgeFailure: a snapshot is complete or it does not exist.
 */
export async function readSnapshot(
  reader: SnapshotReader,
  query: SnapshotQuery,
): Promise<Snapshot> {
  const { caller } = reader;
  const { repo, number } = query.item;
  const readAt = reader.now();
  const issue = await caller.get(repoPath(repo, "issues", number), IssueRow);
  const [row, writers] = await Promise.all([
    newestPull(caller, query, issue),
    reader.writers(repo),
  ]);
  const previous = query.previous?.item.number === number ? query.previous : null;
  const pull = row === null ? null : await readPull(caller, repo, row, previous?.pull ?? null);
  const threads = await Promise.all([
    readThread(reader, { repo, number, now: stateOf(issue), previous, before: previous, pull }),
    pull === null || issue.pull_request
      ? EMPTY
      : readThread(reader, {
          ...{ repo, number: pull.number, now: pull, previous, pull },
          before: previous?.pull?.number === pull.number ? previous.pull : null,
        }),
  ]);
  return {
    item: query.item,
    kind: issue.pull_request ? "pull" : "issue",
    title: issue.title,
    body: issue.body,
    author: accountOf(issue.user),
    state: issue.state,
    assignees: issue.assignees.map(accountOf),
    labels: issue.labels.map(({ name }) => name),
    createdAt: issue.created_at,
    updatedAt: issue.updated_at,
    comments: threads
      .flatMap(({ comments }) => comments)
      .sort((a, b) => a.createdAt - b.createdAt || a.id - b.id),
    acts: threads.flatMap(({ acts }) => acts).sort((a, b) => a.at - b.at || a.id - b.id),
    pull,
    writers,
    readAt,
  };
}

/** All comments of an issue or pull request, oldest first; the list is not paginated. @throws ForgeFailure */
export async function readComments(
  caller: Caller,
  repo: string,
  number: number,
): Promise<readonly Comment[]> {
  const path = repoPath(repo, "issues", number, "comments");
  const rows = await caller.get(path, rowsOf(CommentRow));
  return rows.map((row) => commentOf(row, number));
}

interface Thread {
  readonly comments: readonly Comment[];
  readonly acts: readonly Act[];
}

interface State {
  readonly state: "open" | "closed";
  readonly updatedAt: number;
}

const EMPTY: Thread = { comments: [], acts: [] };

function stateOf(issue: IssueRow): State {
  return { state: issue.state, updatedAt: issue.updated_at };
}

async function newestPull(
  caller: Caller,
  query: SnapshotQuery,
  issue: IssueRow,
): Promise<PullRow | null> {
  const { repo, number } = query.item;
  if (issue.pull_request) return await readPullRow(caller, repo, number);
  const branches = query.branches.map(({ branch }) => branch);
  const listed = await findPulls(caller, repo, { branches, since: issue.created_at, state: "all" });
  const found = listed.filter((row) =>
    query.branches.some(
      ({ branch, author }) =>
        headBranchOf(row) === branch && row.user?.login.toLowerCase() === author.toLowerCase(),
    ),
  );
  const open = found.findLast((row) => row.state === "open");
  if (open !== undefined) return open;
  const newest = Math.max(0, ...query.pulls, ...found.map((row) => row.number));
  if (newest === 0) return null;
  return found.find((row) => row.number === newest) ?? (await readPullRow(caller, repo, newest));
}

async function readThread(
  reader: SnapshotReader,
  of: {
    readonly repo: string;
    readonly number: number;
    readonly now: State;
    readonly previous: Snapshot | null;
    readonly before: State | null;
    readonly pull: Pull | null;
  },
): Promise<Thread> {
  const { caller } = reader;
  const { repo, number, previous, pull } = of;
  const isKnown = previous !== null && isUnchanged(reader, of);
  if (isKnown && of.now.state === "closed") {
    const comments = previous.comments.filter((comment) => comment.number === number);
    return { comments, acts: actsOf(previous, number) };
  }
  const hiddenRows =
    pull?.number === number
      ? pull.reviews.reduce((sum, { comments }) => sum + comments.length, 0)
      : 0;
  const [comments, acts] = await Promise.all([
    readComments(caller, repo, number),
    isKnown ? actsOf(previous, number) : readActs(caller, repo, { number, hiddenRows }),
  ]);
  return { comments, acts };
}

function actsOf(snapshot: Snapshot, number: number): readonly Act[] {
  return snapshot.acts.filter((act) => act.number === number);
}

function isUnchanged(
  reader: SnapshotReader,
  of: { readonly now: State; readonly previous: Snapshot | null; readonly before: State | null },
): boolean {
  if (of.previous === null || of.before === null) return false;
  const readAt = of.previous.readAt + reader.clockOffset();
  return (
    of.before.updatedAt === of.now.updatedAt &&
    of.before.state === of.now.state &&
    readAt - of.before.updatedAt > SAME_SECOND_MS
  );
}
