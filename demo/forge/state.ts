/** A token as the forge keeps it; `value` is the secret a client sends. */
export type Token = { id: number; name: string; value: string; scopes: string[] };

/** A user or an organization. Organizations have owners and no password. */
export type Account = {
  id: number;
  login: string;
  fullName: string;
  email: string;
  isAdmin: boolean;
  kind: "user" | "organization";
  owners: Set<number>;
  password: string | undefined;
  tokens: Token[];
  /** Hooks of all repositories of this owner. */
  hooks: Hook[];
  createdAt: number;
  lastLoginAt: number | undefined;
};

/** What a collaborator may do in one repository. */
export type Permission = "read" | "write" | "admin";

export type Label = {
  id: number;
  name: string;
  color: string;
  description: string;
  exclusive: boolean;
};

/** A web hook; `events` are event types (X-Forgejo-Event-Type), not the names of the input. */
export type Hook = {
  id: number;
  type: string;
  url: string;
  contentType: "json" | "form";
  secret: string;
  events: string[];
  branchFilter: string;
  authorizationHeader: string;
  active: boolean;
  createdAt: number;
  updatedAt: number;
};

export type StatusState = "pending" | "success" | "error" | "failure" | "warning" | "skipped";

export type Status = {
  id: number;
  sha: string;
  state: StatusState;
  context: string;
  description: string;
  targetUrl: string;
  creator: Account;
  createdAt: number;
};

/** The part of a branch protection that pushes and merges are checked against. */
export type Protection = {
  ruleName: string;
  enablePush: boolean;
  requiredApprovals: number;
  enableStatusCheck: boolean;
  statusCheckContexts: string[];
  blockOnRejectedReviews: boolean;
  blockOnOutdatedBranch: boolean;
  dismissStaleApprovals: boolean;
  applyToAdmins: boolean;
  createdAt: number;
};

/** One row of the timeline of an issue: comments and everything else that happened. */
export type Row = {
  id: number;
  type: RowType;
  author: Account;
  body: string;
  createdAt: number;
  updatedAt: number;
  reactions: Reaction[];
  label?: Label;
  assignee?: Account;
  removedAssignee?: boolean;
  reviewId?: number;
  commitSha?: string;
  oldTitle?: string;
  newTitle?: string;
  oldRef?: string;
  newRef?: string;
  refAction?: "none" | "closes";
  refIssue?: Issue;
  code?: CodePlace;
};

/** The names are those of Forgejo: models/issues/comment.go. */
export type RowType =
  | "comment"
  | "reopen"
  | "close"
  | "commit_ref"
  | "pull_ref"
  | "label"
  | "assignees"
  | "change_title"
  | "delete_branch"
  | "code"
  | "review"
  | "change_target_branch"
  | "review_request"
  | "merge_pull"
  | "pull_push"
  | "dismiss_review"
  | "pull_scheduled_merge"
  | "pull_cancel_scheduled_merge";

/** Where an inline comment of a review stands; a negative line is one of the old side. */
export type CodePlace = { path: string; line: number; commitSha: string; hunk: string };

export type Reaction = { user: Account; content: string; createdAt: number };

export type ReviewState = "APPROVED" | "REQUEST_CHANGES" | "COMMENT" | "PENDING" | "REQUEST_REVIEW";

export type Review = {
  id: number;
  reviewer: Account;
  state: ReviewState;
  body: string;
  commitId: string;
  official: boolean;
  stale: boolean;
  dismissed: boolean;
  createdAt: number;
  updatedAt: number;
};

export type MergeStyle = "merge" | "rebase" | "rebase-merge" | "squash" | "fast-forward-only";

/** The half of an issue that makes it a pull request; head and base are in the same repository. */
export type Pull = {
  id: number;
  baseBranch: string;
  headBranch: string;
  headSha: string;
  mergeBase: string;
  /** checking right after creation and each push, until the conflict check has run. */
  status: "checking" | "mergeable" | "conflict" | "empty";
  checks: number;
  /** Size of the difference from the merge base to the head. */
  stats: { additions: number; deletions: number; files: number };
  reviews: Review[];
  merged?: { at: number; by: Account; sha: string };
  scheduled?: { by: Account; style: MergeStyle; message: string; deleteBranch: boolean };
};

export type Issue = {
  id: number;
  number: number;
  repo: Repo;
  author: Account;
  title: string;
  body: string;
  isClosed: boolean;
  closedAt: number | undefined;
  assignees: Account[];
  labels: Label[];
  rows: Row[];
  reactions: Reaction[];
  mentioned: Set<number>;
  createdAt: number;
  updatedAt: number;
  pull?: Pull;
};

/** An issue known to be a pull request. */
export type PullIssue = Issue & { pull: Pull };

export type Repo = {
  id: number;
  owner: Account;
  name: string;
  description: string;
  isPrivate: boolean;
  defaultBranch: string;
  path: string;
  collaborators: Map<number, Permission>;
  issues: Map<number, Issue>;
  lastNumber: number;
  labels: Label[];
  hooks: Hook[];
  statuses: Status[];
  protections: Protection[];
  /** Full ref name to sha, kept equal to the bare repository, which only this process writes. */
  refs: Map<string, string>;
  createdAt: number;
  updatedAt: number;
};

/** Everything the forge knows besides the git objects. */
export type ForgeState = {
  lastId: number;
  accounts: Account[];
  repos: Repo[];
  /** Hooks of the whole server. */
  systemHooks: Hook[];
  /** Hooks that a new repository begins with. */
  defaultHooks: Hook[];
};

/** Bounds of the embedded forge: a request that would pass one is refused. */
export const LIMITS = {
  accounts: 1000,
  repos: 1000,
  issues: 10_000,
  rows: 10_000,
  reviews: 1000,
  labels: 1000,
  hooks: 50,
  statuses: 10_000,
  deliveries: 2000,
  waitingDeliveries: 5000,
  bodyBytes: 4 * 1024 * 1024,
  pushBytes: 128 * 1024 * 1024,
  pageSize: 50,
  defaultPageSize: 30,
} as const;

/** @returns an empty forge. */
export function createState(): ForgeState {
  return { lastId: 0, accounts: [], repos: [], systemHooks: [], defaultHooks: [] };
}

/** @returns the next id; ids are unique over all kinds of things, which no client may rely on. */
export function nextId(state: ForgeState): number {
  state.lastId += 1;
  return state.lastId;
}

/** @returns the account with this login, whatever its case. */
export function findAccount(state: ForgeState, login: string): Account | undefined {
  return state.accounts.find((account) => account.login.toLowerCase() === login.toLowerCase());
}

/** @returns the repository, whatever the case of its name. */
export function findRepo(state: ForgeState, owner: string, name: string): Repo | undefined {
  const wanted = `${owner}/${name}`.toLowerCase();
  return state.repos.find((repo) => fullName(repo).toLowerCase() === wanted);
}

/** @returns `owner/name`. */
export function fullName(repo: Repo): string {
  return `${repo.owner.login}/${repo.name}`;
}

/** @returns the sha of a branch, or undefined when there is no such branch. */
export function branchSha(repo: Repo, branch: string): string | undefined {
  return repo.refs.get(`refs/heads/${branch}`);
}

/** Narrows an issue to a pull request. */
export function isPull(issue: Issue): issue is PullIssue {
  return issue.pull !== undefined;
}

/** @returns the pull requests of a repository, in order of their number. */
export function pullsOf(repo: Repo): PullIssue[] {
  return [...repo.issues.values()].filter(isPull);
}

/** @returns what an account may do in a repository; undefined: not even read. */
export function accessOf(repo: Repo, account: Account | undefined): Permission | undefined {
  if (account !== undefined) {
    if (account.isAdmin || account.id === repo.owner.id || repo.owner.owners.has(account.id))
      return "admin";
    const given = repo.collaborators.get(account.id);
    if (given !== undefined) return given;
  }
  return repo.isPrivate ? undefined : "read";
}

/** @returns whether the account may push to and label in the repository. */
export function canWrite(repo: Repo, account: Account | undefined): boolean {
  const access = accessOf(repo, account);
  return access === "write" || access === "admin";
}
