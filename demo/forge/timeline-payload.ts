import type { Forge } from "./forge.ts";
import { issuePayload, labelPayload, type Payload, pageOf, time, userPayload } from "./payloads.ts";
import { type Account, type Issue, isPull, type Row } from "./state.ts";

/** @returns one row of the timeline (Forgejo: services/convert/issue_comment.go). */
export function timelinePayload(forge: Forge, issue: Issue, row: Row, viewer?: Account): Payload {
  const optionalUser = (account: Account | undefined): Payload | null =>
    account === undefined ? null : userPayload(forge, account);
  return {
    id: row.id,
    type: row.type,
    html_url: `${pageOf(forge, issue)}#issuecomment-${row.id}`,
    pull_request_url: isPull(issue) ? pageOf(forge, issue) : "",
    issue_url: isPull(issue) ? "" : pageOf(forge, issue),
    user: userPayload(forge, row.author),
    body: row.body,
    created_at: time(row.createdAt),
    updated_at: time(row.updatedAt),
    old_project_id: 0,
    project_id: 0,
    old_milestone: null,
    milestone: null,
    tracked_time: null,
    old_title: row.oldTitle ?? "",
    new_title: row.newTitle ?? "",
    old_ref: row.oldRef ?? "",
    new_ref: row.newRef ?? "",
    ref_issue: row.refIssue === undefined ? null : issuePayload(forge, row.refIssue, viewer),
    ref_comment: null,
    ref_action: row.refAction ?? "none",
    ref_commit_sha: row.commitSha ?? "",
    review_id: row.reviewId ?? 0,
    label: row.label === undefined ? null : labelPayload(forge, issue.repo, row.label),
    assignee: optionalUser(row.assignee),
    assignee_team: null,
    removed_assignee: row.removedAssignee ?? false,
    resolve_doer: null,
    dependent_issue: null,
  };
}
