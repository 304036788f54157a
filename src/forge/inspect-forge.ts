import type { Account } from "../domain/snapshot.ts";
import { ForgeFailure, type ForgeFailureKind } from "../ports/forge.ts";
import type { Log } from "../ports/observe.ts";
import { type Calls, createCalls, PRIORITY } from "./calls.ts";
import {
  HookRow,
  InspectedBranchRow,
  InspectedRepoRow,
  OwnAccountRow,
  PermissionRow,
  ProtectionRow,
} from "./inspect-schema.ts";
import { accountOf } from "./map.ts";
import { apiOf, repoPath } from "./paths.ts";
import { rowsOf, UserRow, VersionRow } from "./schema.ts";

/** The account a token belongs to; `isSiteAdmin` is null where the forge does not say. */
export interface TokenAccount extends Account {
  readonly isSiteAdmin: boolean | null;
}

/** A repository as one account sees it; null where the forge does not say. */
export interface RepositoryFacts {
  readonly mayAdminister: boolean | null;
  readonly mayPush: boolean | null;
  readonly isArchived: boolean;
  readonly hasIssues: boolean | null;
  readonly hasPulls: boolean | null;
  /** By style of merging, whether the repository allows it. */
  readonly allows: Readonly<Record<string, boolean | null>>;
}

/** A branch as one account sees it. */
export interface BranchFacts {
  readonly isProtected: boolean;
  readonly mayPush: boolean | null;
  readonly mayMerge: boolean | null;
  /** Name of the rule that protects it; empty for who may not see it, and without one. */
  readonly rule: string;
}

/** A webhook as an administrator of the repository sees it. */
export interface HookFacts {
  readonly id: number;
  readonly type: string;
  readonly isActive: boolean;
  readonly url: string;
  readonly contentType: string;
  /** Types of events, as in X-*-Event-Type. */
  readonly events: readonly string[];
  readonly branchFilter: string;
}

/** A rule of branch protection; a list is null where everybody with write access may. */
export interface ProtectionFacts {
  /** A branch's name or a pattern. */
  readonly rule: string;
  readonly allowsPush: boolean;
  /** Logins in lower case. */
  readonly pushers: readonly string[] | null;
  readonly approvers: readonly string[] | null;
  /** Teams are on a list, too: who is in them is not known here. */
  readonly namesTeams: boolean;
  readonly mustBeUpToDate: boolean;
}

/** Questions about a set-up, all reads, in the name of one token. Every method throws ForgeFailure. */
export interface ForgeInspector {
  version(): Promise<string>;
  account(): Promise<TokenAccount>;
  /**
   * The account with this login, when the forge tells the token its permission: it does so for the
   * token's own account and for administrators only. Null says nothing, as some versions compare
   * another name (Forgejo and Gitea: routers/api/v1/repo/collaborators.go).
   */
  ownAccount(repo: string, login: string): Promise<Account | null>;
  repository(repo: string): Promise<RepositoryFacts>;
  writers(repo: string): Promise<readonly Account[]>;
  branch(repo: string, branch: string): Promise<BranchFacts>;
  hooks(repo: string): Promise<readonly HookFacts[]>;
  /** Those of the owner, when it is an organisation that this token may see them of. */
  ownerHooks(owner: string): Promise<readonly HookFacts[]>;
  protections(repo: string): Promise<readonly ProtectionFacts[]>;
}

/** How a forge is inspected; `url` is http(s), without credentials. */
export interface InspectOptions {
  readonly url: string;
  readonly ca: string | null;
  readonly requestsPerSecond: number;
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly log: Log;
  /** Ends all questions, asked and not yet asked, with its reason: a ForgeFailure. */
  readonly signal: AbortSignal;
}

/** Makes inspectors that share one rate limit; an empty token asks as nobody. */
export function inspectForge(options: InspectOptions): (token: string) => ForgeInspector {
  const { url, ca, timeoutMs, now, requestsPerSecond, log, signal } = options;
  const calls = createCalls({
    exchange: { api: apiOf(url), ca, timeoutMs, now, signal, onClock: () => undefined },
    requestsPerSecond,
    log,
  });
  return (token) => inspector(calls, token);
}

function inspector(calls: Calls, token: string): ForgeInspector {
  const caller = calls(() => token, PRIORITY.read);
  const hooksAt = async (path: string): Promise<HookFacts[]> =>
    (await caller.list(path, HookRow, {}, HOOK_PAGES_MAX)).map(hookOf);
  return {
    version: async () => (await caller.get("/version", VersionRow)).version,
    account: async () => {
      const row = await caller.get("/user", OwnAccountRow);
      return { ...accountOf(row), isSiteAdmin: row.is_admin };
    },
    ownAccount: async (repo, login) => {
      const path = repoPath(repo, "collaborators", login, "permission");
      try {
        return accountOf((await caller.get(path, PermissionRow)).user);
      } catch (error) {
        if (error instanceof ForgeFailure && SAYS_NOTHING.includes(error.kind)) return null;
        throw error;
      }
    },
    repository: async (repo) => repositoryOf(await caller.get(repoPath(repo), InspectedRepoRow)),
    writers: async (repo) =>
      (await caller.get(repoPath(repo, "assignees"), rowsOf(UserRow))).map(accountOf),
    branch: async (repo, branch) => {
      const row = await caller.get(repoPath(repo, "branches", branch), InspectedBranchRow);
      return {
        isProtected: row.protected,
        mayPush: row.user_can_push,
        mayMerge: row.user_can_merge,
        rule: row.effective_branch_protection_name,
      };
    },
    hooks: async (repo) => await hooksAt(repoPath(repo, "hooks")),
    ownerHooks: async (owner) => await hooksAt(`/orgs/${encodeURIComponent(owner)}/hooks`),
    protections: async (repo) =>
      (await caller.get(repoPath(repo, "branch_protections"), rowsOf(ProtectionRow))).map(
        protectionOf,
      ),
  };
}

/** Nobody has 500 hooks; a forge whose list does not end must not keep anybody waiting. */
const HOOK_PAGES_MAX = 10;

const SAYS_NOTHING: readonly ForgeFailureKind[] = [
  "forbidden",
  "not_found",
  "refused",
  "malformed",
];

function repositoryOf(row: (typeof InspectedRepoRow)["_output"]): RepositoryFacts {
  return {
    mayAdminister: row.permissions?.admin ?? null,
    mayPush: row.permissions?.push ?? null,
    isArchived: row.archived === true,
    hasIssues: row.has_issues,
    hasPulls: row.has_pull_requests,
    allows: {
      merge: row.allow_merge_commits,
      rebase: row.allow_rebase,
      "rebase-merge": row.allow_rebase_explicit,
      squash: row.allow_squash_merge,
      "fast-forward-only": row.allow_fast_forward_only_merge,
    },
  };
}

function hookOf(row: (typeof HookRow)["_output"]): HookFacts {
  return {
    id: row.id,
    type: row.type,
    isActive: row.active,
    url: row.config.url,
    contentType: row.config.content_type,
    events: row.events,
    branchFilter: row.branch_filter,
  };
}

function protectionOf(row: (typeof ProtectionRow)["_output"]): ProtectionFacts {
  const lower = (logins: readonly string[]) => logins.map((login) => login.toLowerCase());
  return {
    rule: row.rule_name === "" ? row.branch_name : row.rule_name,
    allowsPush: row.enable_push === true,
    pushers: row.enable_push_whitelist === true ? lower(row.push_whitelist_usernames) : null,
    approvers:
      row.enable_approvals_whitelist === true ? lower(row.approvals_whitelist_username) : null,
    namesTeams: row.push_whitelist_teams.length + row.approvals_whitelist_teams.length > 0,
    mustBeUpToDate: row.block_on_outdated_branch === true,
  };
}
