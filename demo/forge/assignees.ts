import { Refusal } from "./answers.ts";
import { emitIssue } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { type Account, accessOf, findAccount, type Issue, type Repo } from "./state.ts";

/** @returns the accounts with these logins. @throws Refusal 422 for who cannot be assigned. */
export function assignableAccounts(forge: Forge, repo: Repo, logins: string[]): Account[] {
  return logins.map((login) => {
    const account = findAccount(forge.state, login);
    if (account === undefined || account.kind !== "user")
      throw new Refusal(422, `Assignee does not exist: [name: ${login}]`);
    if (accessOf(repo, account) === undefined)
      throw new Refusal(422, `user doesn't have access to repo [user_id: ${account.id}]`);
    return account;
  });
}

/** Makes these the assignees: one row and one event per account that leaves or comes. */
export function replaceAssignees(
  forge: Forge,
  issue: Issue,
  { wanted, sender }: { wanted: Account[]; sender: Account },
): void {
  for (const account of [...issue.assignees]) {
    if (wanted.some((one) => one.id === account.id)) continue;
    issue.assignees = issue.assignees.filter((one) => one.id !== account.id);
    addRow(forge, issue, "assignees", { author: sender, assignee: account, removedAssignee: true });
    emitIssue(forge, issue, { action: "unassigned", sender });
  }
  for (const account of wanted) {
    if (issue.assignees.some((one) => one.id === account.id)) continue;
    issue.assignees.push(account);
    addRow(forge, issue, "assignees", { author: sender, assignee: account });
    emitIssue(forge, issue, { action: "assigned", sender });
  }
}
