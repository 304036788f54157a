import { createHash } from "node:crypto";
import type { Forge } from "./forge.ts";
import {
  type Account,
  accessOf,
  fullName,
  type Issue,
  isPull,
  type Label,
  pullsOf,
  type Repo,
  type Row,
} from "./state.ts";

/** JSON as it is sent: only plain values, keys in Forgejo's order. */
export type Payload = Record<string, unknown>;

const ZERO_TIME = "0001-01-01T00:00:00Z";

/** @returns seconds as RFC 3339 without fractions, or null. */
export function time(seconds: number | undefined): string | null {
  return seconds === undefined
    ? null
    : new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

/**
 * @returns a user object. Mail, language, last_login and active show the truth only to the account
 * itself and to administrators; any signed-in viewer sees the mail (Forgejo: services/convert/user.go).
 */
export function userPayload(forge: Forge, account: Account, viewer?: Account): Payload {
  const isOwn = viewer !== undefined && (viewer.id === account.id || viewer.isAdmin);
  const base = forge.url();
  return {
    id: account.id,
    login: account.login,
    login_name: "",
    source_id: 0,
    full_name: account.fullName,
    email:
      viewer === undefined ? `${account.login}@noreply.${new URL(base).hostname}` : account.email,
    avatar_url: `${base}/avatars/${createHash("md5").update(account.login).digest("hex")}`,
    html_url: `${base}/${account.login}`,
    language: isOwn ? "en-US" : "",
    is_admin: isOwn ? account.isAdmin : false,
    last_login: isOwn ? (time(account.lastLoginAt) ?? ZERO_TIME) : ZERO_TIME,
    created: time(account.createdAt),
    restricted: false,
    active: isOwn,
    prohibit_login: false,
    location: "",
    pronouns: "",
    website: "",
    description: "",
    visibility: "public",
    followers_count: 0,
    following_count: 0,
    starred_repos_count: 0,
    username: account.login,
  };
}

/** @returns a repository object with the viewer's permissions. */
export function repoPayload(forge: Forge, repo: Repo, viewer?: Account): Payload {
  const access = accessOf(repo, viewer);
  const name = fullName(repo);
  const base = forge.url();
  const host = new URL(base).hostname;
  const issues = [...repo.issues.values()].filter((issue) => !issue.isClosed);
  return {
    id: repo.id,
    owner: userPayload(forge, repo.owner, viewer),
    name: repo.name,
    full_name: name,
    description: repo.description,
    empty: ![...repo.refs.keys()].some((ref) => ref.startsWith("refs/heads/")),
    private: repo.isPrivate,
    fork: false,
    template: false,
    parent: null,
    mirror: false,
    size: 24,
    language: "",
    languages_url: `${base}/api/v1/repos/${name}/languages`,
    html_url: `${base}/${name}`,
    url: `${base}/api/v1/repos/${name}`,
    link: "",
    ssh_url: `git@${host}:${name}.git`,
    clone_url: `${base}/${name}.git`,
    original_url: "",
    website: "",
    stars_count: 0,
    forks_count: 0,
    watchers_count: 1,
    open_issues_count: issues.filter((issue) => !isPull(issue)).length,
    open_pr_counter: pullsOf(repo).filter((pull) => !pull.isClosed).length,
    release_counter: 0,
    default_branch: repo.defaultBranch,
    archived: false,
    created_at: time(repo.createdAt),
    updated_at: time(repo.updatedAt),
    archived_at: "1970-01-01T00:00:00Z",
    permissions: {
      admin: access === "admin",
      push: access === "admin" || access === "write",
      pull: access !== undefined,
    },
    has_issues: true,
    internal_tracker: {
      enable_time_tracker: true,
      allow_only_contributors_to_track_time: true,
      enable_issue_dependencies: true,
    },
    has_wiki: true,
    has_wiki_contents: false,
    wiki_branch: "main",
    wiki_ssh_url: `git@${host}:${name}.wiki.git`,
    wiki_clone_url: `${base}/${name}.wiki.git`,
    globally_editable_wiki: false,
    has_pull_requests: true,
    has_projects: true,
    has_releases: true,
    has_packages: true,
    has_actions: true,
    ignore_whitespace_conflicts: false,
    allow_merge_commits: true,
    allow_rebase: true,
    allow_rebase_explicit: true,
    allow_squash_merge: true,
    allow_fast_forward_only_merge: true,
    allow_rebase_update: true,
    default_delete_branch_after_merge: false,
    default_merge_style: "merge",
    default_allow_maintainer_edit: false,
    default_update_style: "merge",
    avatar_url: "",
    internal: false,
    mirror_interval: "",
    object_format_name: "sha1",
    mirror_updated: ZERO_TIME,
    repo_transfer: null,
    topics: null,
  };
}

/** @returns a label object. */
export function labelPayload(forge: Forge, repo: Repo, label: Label): Payload {
  return {
    id: label.id,
    name: label.name,
    exclusive: label.exclusive,
    is_archived: false,
    color: label.color,
    description: label.description,
    url: `${forge.url()}/api/v1/repos/${fullName(repo)}/labels/${label.id}`,
  };
}

/** @returns `assignee` and `assignees`, which is null when nobody is assigned. */
export function assigneePayload(forge: Forge, issue: Issue): Payload {
  const users = issue.assignees.map((account) => userPayload(forge, account));
  return { assignee: users[0] ?? null, assignees: users.length === 0 ? null : users };
}

/** @returns an issue object; for a pull request `pull_request` is set. */
export function issuePayload(forge: Forge, issue: Issue, viewer?: Account): Payload {
  const { repo } = issue;
  return {
    id: issue.id,
    url: `${forge.url()}/api/v1/repos/${fullName(repo)}/${kindPath(issue)}/${issue.number}`,
    html_url: pageOf(forge, issue),
    number: issue.number,
    user: userPayload(forge, issue.author, viewer),
    original_author: "",
    original_author_id: 0,
    title: issue.title,
    body: issue.body,
    ref: "",
    assets: [],
    labels: issue.labels.map((label) => labelPayload(forge, repo, label)),
    milestone: null,
    ...assigneePayload(forge, issue),
    state: issue.isClosed ? "closed" : "open",
    is_locked: false,
    comments: countComments(issue),
    created_at: time(issue.createdAt),
    updated_at: time(issue.updatedAt),
    closed_at: time(issue.closedAt),
    due_date: null,
    pull_request: isPull(issue)
      ? {
          merged: issue.pull.merged !== undefined,
          merged_at: time(issue.pull.merged?.at),
          draft: isDraft(issue.title),
          html_url: pageOf(forge, issue),
        }
      : null,
    repository: {
      id: repo.id,
      name: repo.name,
      owner: repo.owner.login,
      full_name: fullName(repo),
    },
    pin_order: 0,
  };
}

/** @returns a comment object. */
export function commentPayload(forge: Forge, issue: Issue, row: Row, viewer?: Account): Payload {
  return {
    id: row.id,
    html_url: `${pageOf(forge, issue)}#issuecomment-${row.id}`,
    pull_request_url: isPull(issue) ? pageOf(forge, issue) : "",
    issue_url: isPull(issue) ? "" : pageOf(forge, issue),
    user: userPayload(forge, row.author, viewer),
    original_author: "",
    original_author_id: 0,
    body: row.body,
    assets: [],
    created_at: time(row.createdAt),
    updated_at: time(row.updatedAt),
  };
}

/** @returns the address of the web page of an issue or pull request. */
export function pageOf(forge: Forge, issue: Issue): string {
  return `${forge.url()}/${fullName(issue.repo)}/${kindPath(issue)}/${issue.number}`;
}

/** @returns whether a title marks work in progress (there is no other draft flag). */
export function isDraft(title: string): boolean {
  return /^(wip:|\[wip\])/i.test(title.trim());
}

/** Comments and reviews count (Forgejo: ConversationCountedCommentType). */
export function countComments(issue: Issue): number {
  return issue.rows.filter((row) => row.type === "comment" || row.type === "review").length;
}

function kindPath(issue: Issue): "pulls" | "issues" {
  return isPull(issue) ? "pulls" : "issues";
}
