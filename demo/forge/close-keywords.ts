import { emitIssue } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { type Account, type Issue, isPull, type Repo } from "./state.ts";

/** @returns the numbers that a text says it closes, such as "Closes #42" (Forgejo: CloseKeywords). */
export function closedNumbers(text: string): number[] {
  const pattern = /\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d{1,9})\b/gi;
  return [...text.matchAll(pattern)].map((match) => Number(match[1]));
}

/** Closes the open issues with these numbers in the name of an account, by a commit. */
export function closeIssues(
  forge: Forge,
  repo: Repo,
  { numbers, sender, commitId }: { numbers: number[]; sender: Account; commitId: string },
): void {
  for (const number of new Set(numbers)) {
    const issue = repo.issues.get(number);
    if (issue === undefined || isPull(issue) || issue.isClosed) continue;
    setClosed(forge, issue, { isClosed: true, sender, commitId });
  }
}

/** Closes or reopens an issue or pull request, with its timeline row and its event. */
export function setClosed(
  forge: Forge,
  issue: Issue,
  { isClosed, sender, commitId }: { isClosed: boolean; sender: Account; commitId?: string },
): void {
  issue.isClosed = isClosed;
  issue.closedAt = isClosed ? forge.now() : undefined;
  addRow(forge, issue, isClosed ? "close" : "reopen", {
    author: sender,
    ...(commitId === undefined ? {} : { commitSha: commitId }),
  });
  emitIssue(forge, issue, {
    action: isClosed ? "closed" : "reopened",
    sender,
    ...(commitId === undefined ? {} : { commitId }),
  });
}
