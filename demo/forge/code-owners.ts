import type { Forge } from "./forge.ts";
import { isDraft } from "./payloads.ts";
import { addReviewRequest } from "./review-requests.ts";
import { branchSha, findAccount, type PullIssue } from "./state.ts";

const PLACES = ["CODEOWNERS", "docs/CODEOWNERS", ".gitea/CODEOWNERS"];

/**
 * Requests the reviews that the CODEOWNERS of the default branch asks for, in the name of the author
 * and before `opened` is sent (Forgejo: services/issue/pull.go). A line is a regular expression
 * over the whole path, `!` inverts it; then follow `@login`s.
 */
export async function requestCodeOwners(forge: Forge, issue: PullIssue): Promise<void> {
  if (isDraft(issue.title)) return;
  const text = await readOwners(forge, issue);
  if (text === undefined) return;
  const range = [issue.pull.mergeBase, issue.pull.headSha];
  const changed = await forge.git.read(issue.repo.path, ["diff", "--name-only", ...range]);
  const paths = changed.split("\n").filter((path) => path !== "");
  const owners = new Set(text.split("\n").flatMap((line) => ownersOf(line, paths)));
  for (const login of owners) {
    const reviewer = findAccount(forge.state, login);
    if (reviewer !== undefined && reviewer.id !== issue.author.id)
      addReviewRequest(forge, issue, { reviewer, sender: issue.author });
  }
}

async function readOwners(forge: Forge, issue: PullIssue): Promise<string | undefined> {
  const tip = branchSha(issue.repo, issue.repo.defaultBranch);
  for (const place of PLACES) {
    const result = await forge.git.run(issue.repo.path, ["show", `${tip}:${place}`]);
    if (result.exitCode === 0) return result.stdout;
  }
  return undefined;
}

function ownersOf(line: string, paths: string[]): string[] {
  const [rule = "", ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
  const isInverse = rule.startsWith("!");
  const source = isInverse ? rule.slice(1) : rule;
  if (source === "") return [];
  try {
    const pattern = new RegExp(`^(?:${source})$`);
    const concerned = paths.some((path) => pattern.test(path) !== isInverse);
    return concerned ? names.map((name) => name.replace(/^@/, "")) : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
