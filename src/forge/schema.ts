import { z } from "zod";

/**
 * Only the fields we read, of Forgejo and Gitea alike: a list may be null or missing where there is
 * nothing (Forgejo writes `null` for Go's nil slices), a time may carry any zone. A field that a
 * decision rests on has no default, so that its absence is an error and not a state.
 */
const Time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const list = <T extends z.ZodType>(row: T) => z.preprocess((value) => value ?? [], z.array(row));
const Text = z
  .string()
  .nullish()
  .transform((text) => text ?? "");

/** Forgejo: modules/structs/user.go. */
export const UserRow = z.object({ id: z.number().int(), login: z.string().min(1) });
const OptionalUser = UserRow.nullish().transform((user) => user ?? null);

const LabelRow = z.object({ name: z.string() });

/** Forgejo: modules/structs/issue.go. A pull request has `pull_request` set. */
export const IssueRow = z.object({
  number: z.number().int().positive(),
  title: z.string(),
  body: Text,
  user: OptionalUser,
  state: z.enum(["open", "closed"]),
  assignees: list(UserRow),
  labels: list(LabelRow),
  created_at: Time,
  updated_at: Time,
  pull_request: z
    .unknown()
    .nullish()
    .transform((value) => value !== null && value !== undefined),
});
export type IssueRow = z.infer<typeof IssueRow>;

/** A hit of /repos/issues/search. */
export const FoundRow = z.object({
  number: z.number().int().positive(),
  state: z.enum(["open", "closed"]),
  updated_at: Time,
  labels: list(LabelRow),
  repository: z.object({ full_name: z.string() }),
});
export type FoundRow = z.infer<typeof FoundRow>;

/** `repo` is null when the fork is gone, repo_id then -1 (Forgejo: services/convert/pull.go). */
const BranchRow = z.object({
  label: Text,
  ref: z.string(),
  sha: z.string(),
  repo_id: z.number().int(),
});

/** Forgejo: modules/structs/pull.go. */
export const PullRow = z.object({
  number: z.number().int().positive(),
  title: z.string(),
  body: Text,
  user: OptionalUser,
  state: z.enum(["open", "closed"]),
  merged: z.boolean(),
  draft: z.boolean().optional(),
  head: BranchRow,
  base: BranchRow,
  requested_reviewers: list(OptionalUser),
  created_at: Time,
  updated_at: Time,
  closed_at: Time.nullish(),
  merged_at: Time.nullish(),
});
export type PullRow = z.infer<typeof PullRow>;

/** Forgejo: modules/structs/issue_comment.go. */
export const CommentRow = z.object({
  id: z.number().int(),
  user: OptionalUser,
  body: Text,
  created_at: Time,
  updated_at: Time,
});
export type CommentRow = z.infer<typeof CommentRow>;

/** Forgejo: modules/structs/issue_comment.go TimelineComment, services/convert/issue_comment.go. */
export const TimelineRow = z.object({
  id: z.number().int(),
  type: z.string(),
  user: OptionalUser,
  body: Text,
  created_at: Time,
  label: LabelRow.nullish(),
  assignee: OptionalUser,
  removed_assignee: z.boolean().nullish(),
});
export type TimelineRow = z.infer<typeof TimelineRow>;

/** Forgejo: modules/structs/pull_review.go. A request to a team has no user. */
export const ReviewRow = z.object({
  id: z.number().int(),
  user: OptionalUser,
  state: z.enum(["APPROVED", "REQUEST_CHANGES", "COMMENT", "PENDING", "REQUEST_REVIEW"]),
  body: Text,
  commit_id: z.string(),
  stale: z.boolean(),
  official: z.boolean(),
  dismissed: z.boolean(),
  comments_count: z.number().int(),
  submitted_at: Time,
});
export type ReviewRow = z.infer<typeof ReviewRow>;

/** `position` is the line in the new file, 0 for one of the old side (`original_position`). */
export const LineCommentRow = z.object({
  id: z.number().int(),
  path: z.string(),
  position: z.number().int().nullish(),
  body: Text,
  diff_hunk: Text,
  created_at: Time,
});
export type LineCommentRow = z.infer<typeof LineCommentRow>;

/** Forgejo: modules/structs/status.go; the field is `status` in answers, `state` in requests. */
export const StatusRow = z.object({
  id: z.number().int(),
  status: z.enum(["pending", "success", "error", "failure", "warning", "skipped"]),
  context: z.string(),
  description: Text,
  created_at: Time,
});
export type StatusRow = z.infer<typeof StatusRow>;

/** Forgejo: modules/structs/pull.go ChangedFile. */
export const FileRow = z.object({ filename: z.string(), previous_filename: Text });

/** Forgejo: modules/structs/repo.go; `permissions` are those of the token's account. */
export const RepoRow = z.object({
  permissions: z.object({ admin: z.boolean().nullish() }).nullish(),
});

/** The answer of GET /version. */
export const VersionRow = z.object({ version: z.string() });
/** Of what was made: its id. */
export const IdRow = z.object({ id: z.number().int() });
/** Of a pull request: its number. */
export const NumberRow = z.object({ number: z.number().int().positive() });
/** `{"message"}` of a refusal; a conflict of a merge has none. */
export const RefusalRow = z.object({ message: z.string().optional() });

/** A list that the forge writes as `null` when it is empty. */
export function rowsOf<T extends z.ZodType>(row: T) {
  return list(row);
}
