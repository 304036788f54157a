import { z } from "zod";
import { rowsOf, UserRow } from "./schema.ts";

/**
 * Fields that only `doctor` reads. What a server leaves out is null, never a guess: Gitea and
 * Forgejo of several versions differ in what they tell.
 */
const Flag = z
  .boolean()
  .nullish()
  .transform((flag) => flag ?? null);
const Word = z
  .string()
  .nullish()
  .transform((text) => text ?? "");

/** The account of a token (Forgejo: modules/structs/user.go). */
export const OwnAccountRow = UserRow.extend({ is_admin: Flag });

/** Of one account in a repository (Forgejo: modules/structs/repo_collaborator.go). */
export const PermissionRow = z.object({ user: UserRow });

/** Forgejo: modules/structs/repo.go; `permissions` are those of the token's account. */
export const InspectedRepoRow = z.object({
  archived: Flag,
  has_issues: Flag,
  has_pull_requests: Flag,
  permissions: z.object({ admin: Flag, push: Flag }).nullish(),
  allow_merge_commits: Flag,
  allow_rebase: Flag,
  allow_rebase_explicit: Flag,
  allow_squash_merge: Flag,
  allow_fast_forward_only_merge: Flag,
});

/** Forgejo: modules/structs/repo_branch.go; the name of the rule is shown to administrators only. */
export const InspectedBranchRow = z.object({
  protected: z.boolean(),
  user_can_push: Flag,
  user_can_merge: Flag,
  effective_branch_protection_name: Word,
});

/** Forgejo: modules/structs/hook.go; the secret is never told. */
export const HookRow = z.object({
  id: z.number().int(),
  type: z.string(),
  active: z.boolean(),
  events: rowsOf(z.string()),
  branch_filter: Word,
  config: z.object({ url: Word, content_type: Word }),
});

/** Forgejo and Gitea: modules/structs/repo_branch.go BranchProtection. */
export const ProtectionRow = z.object({
  rule_name: Word,
  branch_name: Word,
  enable_push: Flag,
  enable_push_whitelist: Flag,
  push_whitelist_usernames: rowsOf(z.string()),
  push_whitelist_teams: rowsOf(z.string()),
  enable_approvals_whitelist: Flag,
  approvals_whitelist_username: rowsOf(z.string()),
  approvals_whitelist_teams: rowsOf(z.string()),
  block_on_outdated_branch: Flag,
});
