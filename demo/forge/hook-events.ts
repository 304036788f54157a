const ISSUE_PARTS = ["issues", "issue_assign", "issue_label", "issue_milestone", "issue_comment"];
const REVIEWS = [
  "pull_request_review_approved",
  "pull_request_review_rejected",
  "pull_request_review_comment",
];
const PULL_PARTS = [
  "pull_request",
  "pull_request_assign",
  "pull_request_label",
  "pull_request_milestone",
  "pull_request_comment",
  ...REVIEWS,
  "pull_request_review_request",
  "pull_request_sync",
];
const SAME = [
  "create",
  "delete",
  "fork",
  "push",
  "issue_assign",
  "issue_label",
  "issue_milestone",
  "issue_comment",
  "pull_request_assign",
  "pull_request_label",
  "pull_request_milestone",
  "pull_request_comment",
  "pull_request_review_request",
  "pull_request_sync",
  "wiki",
  "repository",
  "release",
  "package",
  "action_run_success",
  "action_run_failure",
  "action_run_recover",
];
const NAMES: Record<string, string[]> = {
  ...Object.fromEntries(SAME.map((name) => [name, [name]])),
  issues: ISSUE_PARTS,
  issues_only: ["issues"],
  pull_request: PULL_PARTS,
  pull_request_only: ["pull_request"],
  pull_request_review: REVIEWS,
};

/**
 * @returns the event types that the names of a hook's input stand for: none given means push,
 * unknown names are ignored (Forgejo: routers/api/v1/utils/hook.go).
 */
export function eventTypesOf(names: readonly string[]): string[] {
  const given = names.length === 0 ? ["push"] : names;
  return [...new Set(given.flatMap((name) => NAMES[name] ?? []))];
}
