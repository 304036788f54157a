import type { Act } from "../domain/snapshot.ts";
import { type Caller, PAGE_SIZE, PAGES_MAX, tooLong } from "./calls.ts";
import { actOf } from "./map.ts";
import { repoPath } from "./paths.ts";
import { TimelineRow } from "./schema.ts";

/**
 * The acts of an issue or pull request, oldest first. Forgejo cuts a page before it leaves out
 * inline comments and references the account may not see, counts in X-Total-Count only what is on
 * the page and sends no Link (routers/api/v1/repo/issue_comment.go ListIssueCommentsAndTimeline):
 * a short page is no end and a page may be empty (`null`) in the middle. So it is read until as many
 * pages are empty as `hiddenRows` (inline comments) could fill, and one. @throws ForgeFailure
 */
export async function readActs(
  caller: Caller,
  repo: string,
  of: { readonly number: number; readonly hiddenRows: number },
): Promise<readonly Act[]> {
  const path = repoPath(repo, "issues", of.number, "timeline");
  const emptyToEnd = 1 + Math.ceil(of.hiddenRows / PAGE_SIZE);
  const acts: Act[] = [];
  let empty = 0;
  for (let number = 1; number <= PAGES_MAX; number += 1) {
    const query = { page: String(number), limit: String(PAGE_SIZE) };
    const { rows } = await caller.page(path, TimelineRow, query);
    for (const row of rows) {
      const act = actOf(row, of.number);
      if (act !== null) acts.push(act);
    }
    empty = rows.length === 0 ? empty + 1 : 0;
    if (empty >= emptyToEnd) return acts;
  }
  throw tooLong(path);
}
