import type { Forge } from "./forge.ts";
import {
  commentPayload,
  issuePayload,
  type Payload,
  repoPayload,
  userPayload,
} from "./payloads.ts";
import { pullPayload } from "./pull-payload.ts";
import {
  type Account,
  fullName,
  type Issue,
  isPull,
  type PullIssue,
  type Repo,
  type Review,
  type Row,
} from "./state.ts";

type IssueAction =
  | "opened"
  | "closed"
  | "reopened"
  | "edited"
  | "assigned"
  | "unassigned"
  | "label_updated"
  | "label_cleared";

type Extra = { changes?: Payload; commitId?: string };

/**
 * Tells the hooks of an issue or pull request: a pull request never also fires issue events.
 * @param action as in the payload; decides the event type.
 */
export function emitIssue(
  forge: Forge,
  issue: Issue,
  { action, sender, changes, commitId }: Extra & { action: IssueAction; sender: Account },
): void {
  const family = isPull(issue) ? "pull_request" : "issues";
  const suffix = {
    assigned: "_assign",
    unassigned: "_assign",
    label_updated: "_label",
    label_cleared: "_label",
  };
  const isSub = action in suffix;
  const type = isSub
    ? `${isPull(issue) ? "pull_request" : "issue"}${suffix[action as keyof typeof suffix]}`
    : family;
  const extra: Extra = {
    ...(changes === undefined ? {} : { changes }),
    ...(commitId === undefined ? {} : { commitId }),
  };
  if (isPull(issue)) {
    emit(forge, issue.repo, type, pullEvent(forge, issue, { action, sender, ...extra }));
    return;
  }
  emit(forge, issue.repo, type, {
    action,
    number: issue.number,
    ...(changes === undefined ? {} : { changes }),
    issue: issuePayload(forge, issue, sender),
    repository: repoPayload(forge, issue.repo, sender),
    sender: userPayload(forge, sender),
    commit_id: commitId ?? "",
  });
}

/** Tells the hooks of a plain comment; on a pull request the type is pull_request_comment. */
export function emitComment(
  forge: Forge,
  issue: Issue,
  {
    action,
    row,
    sender,
    changes,
  }: {
    action: "created" | "edited" | "deleted";
    row: Row;
    sender: Account;
    changes?: Payload;
  },
): void {
  const onPull = isPull(issue);
  emit(forge, issue.repo, onPull ? "pull_request_comment" : "issue_comment", {
    action,
    issue: issuePayload(forge, issue, sender),
    ...(onPull ? { pull_request: pullPayload(forge, issue, sender) } : {}),
    comment: commentPayload(forge, issue, row),
    ...(changes === undefined ? {} : { changes }),
    repository: repoPayload(forge, issue.repo, sender),
    sender: userPayload(forge, sender),
    is_pull: onPull,
  });
}

/** Tells the hooks that the head of a pull request moved. */
export function emitSynchronized(forge: Forge, issue: PullIssue, sender: Account): void {
  const payload = pullEvent(forge, issue, { action: "synchronized", sender });
  emit(forge, issue.repo, "pull_request_sync", payload);
}

/** Tells the hooks of a review request that was made or withdrawn. */
export function emitReviewRequest(
  forge: Forge,
  issue: PullIssue,
  { reviewer, sender, isAdd }: { reviewer: Account; sender: Account; isAdd: boolean },
): void {
  const action = isAdd ? "review_requested" : "review_request_removed";
  const payload = pullEvent(forge, issue, { action, sender, reviewer });
  emit(forge, issue.repo, "pull_request_review_request", payload);
}

/** Tells the hooks of a submitted review: no id, no commit and no inline comments are in it. */
export function emitReview(forge: Forge, issue: PullIssue, review: Review): void {
  const kinds: Record<string, string> = {
    APPROVED: "pull_request_review_approved",
    REQUEST_CHANGES: "pull_request_review_rejected",
    COMMENT: "pull_request_review_comment",
  };
  const type = kinds[review.state];
  if (type === undefined) return;
  const payload = pullEvent(forge, issue, {
    action: "reviewed",
    sender: review.reviewer,
    reviewer: review.reviewer,
    review: { type, content: review.body },
  });
  emit(forge, issue.repo, type, payload);
}

/** Tells the hooks of a created or deleted branch or tag: the full ref for hooks of type forgejo. */
export function emitRef(
  forge: Forge,
  repo: Repo,
  {
    kind,
    ref,
    sha,
    sender,
  }: { kind: "create" | "delete"; ref: string; sha: string; sender: Account },
): void {
  const payload: Payload = {
    ...(kind === "create" ? { sha } : {}),
    ref,
    ref_type: ref.startsWith("refs/tags/") ? "tag" : "branch",
    ...(kind === "delete" ? { pusher_type: "user" } : {}),
    repository: repoPayload(forge, repo, sender),
    sender: userPayload(forge, sender),
  };
  emit(forge, repo, kind, payload, ref);
}

/** One commit of a push event. */
export type PushedCommit = {
  id: string;
  message: string;
  author: { name: string; email: string };
  timestamp: string;
};

/** Tells the hooks of a push; `commits` newest first, cut to 15. */
export function emitPush(
  forge: Forge,
  repo: Repo,
  {
    ref,
    before,
    after,
    commits,
    sender,
  }: {
    ref: string;
    before: string;
    after: string;
    commits: PushedCommit[];
    sender: Account;
  },
): void {
  const page = `${forge.url()}/${fullName(repo)}`;
  const shown = commits.slice(0, 15).map((commit) => ({
    id: commit.id,
    message: commit.message,
    url: `${page}/commit/${commit.id}`,
    author: { ...commit.author, username: sender.login },
    committer: { ...commit.author, username: sender.login },
    verification: null,
    timestamp: commit.timestamp,
    added: [],
    removed: [],
    modified: [],
  }));
  const payload: Payload = {
    ref,
    before,
    after,
    compare_url: /^0+$/.test(before) ? "" : `${page}/compare/${before}...${after}`,
    commits: shown,
    total_commits: commits.length,
    head_commit: shown[0] ?? null,
    repository: repoPayload(forge, repo, sender),
    pusher: userPayload(forge, sender),
    sender: userPayload(forge, sender),
  };
  emit(forge, repo, "push", payload, ref);
}

/**
 * Sends a payload to every active hook of the repository, its owner and the server that subscribed
 * to the event type; each sends its own webhook with its own id.
 */
function emit(forge: Forge, repo: Repo, eventType: string, payload: Payload, ref?: string): void {
  for (const hook of [...repo.hooks, ...repo.owner.hooks, ...forge.state.systemHooks]) {
    if (!hook.active || !hook.events.includes(eventType)) continue;
    const branch = ref?.startsWith("refs/heads/") ? ref.slice("refs/heads/".length) : undefined;
    if (branch !== undefined && !matchesFilter(hook.branchFilter, branch)) continue;
    const isShort = hook.type !== "forgejo" && (eventType === "create" || eventType === "delete");
    const sent = isShort ? { ...payload, ref: ref?.replace(/^refs\/(heads|tags)\//, "") } : payload;
    forge.deliveries.send(hook, eventType, sent);
  }
}

function pullEvent(
  forge: Forge,
  issue: PullIssue,
  {
    action,
    sender,
    reviewer,
    review,
    changes,
    commitId,
  }: Extra & {
    action: string;
    sender: Account;
    reviewer?: Account;
    review?: { type: string; content: string };
  },
): Payload {
  return {
    action,
    number: issue.number,
    ...(changes === undefined ? {} : { changes }),
    pull_request: pullPayload(forge, issue, sender),
    requested_reviewer: reviewer === undefined ? null : userPayload(forge, reviewer),
    repository: repoPayload(forge, issue.repo, sender),
    sender: userPayload(forge, sender),
    commit_id: commitId ?? "",
    review: review ?? null,
  };
}

function matchesFilter(filter: string, branch: string): boolean {
  return filter === "" || filter === "*" || filter === "**" || new Bun.Glob(filter).match(branch);
}
