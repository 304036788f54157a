import { join } from "node:path";
import type { ItemRef } from "../domain/snapshot.ts";
import { GitFailure } from "../ports/git.ts";

/**
 * Names become paths, refs and arguments, so each is checked against an allow-list before use and
 * then only ever used behind a fixed prefix. All functions throw GitFailure `broken` and name the
 * value.
 */

const REPO = /^[a-z0-9_][a-z0-9_.-]{0,99}\/[a-z0-9_.-]{1,100}$/;
const AGENT = /^[a-z0-9][a-z0-9-]{0,31}$/;
const RUN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const SHA = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;
const BRANCH_CHARACTERS_MAX = 255;

/** @returns the two parts of `owner/name`, lower case; a name of dots only is refused. */
export function repoParts(repo: string): { readonly owner: string; readonly name: string } {
  const [owner = "", name = ""] = repo.split("/");
  if (!REPO.test(repo) || /^\.+$/.test(name)) throw refused("repository", repo);
  return { owner, name };
}

/** @returns the branch. Same rules as `git check-ref-format`, and no leading dash. */
export function checkBranch(branch: string): string {
  const isBad =
    branch.length === 0 ||
    branch.length > BRANCH_CHARACTERS_MAX ||
    branch.startsWith("-") ||
    branch === "@" ||
    branch.includes("..") ||
    branch.includes("@{") ||
    branch.endsWith(".") ||
    hasForbiddenCharacter(branch) ||
    branch.split("/").some((part) => part === "" || part.startsWith(".") || part.endsWith(".lock"));
  if (isBad) throw refused("branch", branch);
  return branch;
}

/** @returns the sha: 40 (or 64) lower hex digits. */
export function checkSha(sha: string): string {
  if (!isSha(sha)) throw refused("commit", sha);
  return sha;
}

/** Whether the text is a full object id. */
export function isSha(text: string): boolean {
  return SHA.test(text);
}

/** @returns the id of a run, fit to be the last part of a ref. */
export function checkRun(run: string): string {
  if (!RUN.test(run)) throw refused("run", run);
  return run;
}

/** @returns `<root>/<owner>/<name>/<number>`, the directory of all clones of a work item. */
export function itemPath(root: string, item: ItemRef): string {
  const { owner, name } = repoParts(item.repo);
  if (!Number.isSafeInteger(item.number) || item.number < 1)
    throw refused("number", String(item.number));
  return join(root, owner, name, String(item.number));
}

/** @returns `<root>/<owner>/<name>/<number>/<agent>`, the clone of an agent. */
export function clonePath(root: string, item: ItemRef, agent: string): string {
  if (!AGENT.test(agent)) throw refused("agent", agent);
  return join(itemPath(root, item), agent);
}

function hasForbiddenCharacter(branch: string): boolean {
  return [...branch].some((character) => {
    const code = character.codePointAt(0) ?? 0;
    return code <= 0x20 || code === 0x7f || "~^:?*[\\".includes(character);
  });
}

function refused(what: string, value: string): GitFailure {
  return new GitFailure(
    "broken",
    `${what} ${JSON.stringify(value.slice(0, 120))} is not a name this service accepts`,
  );
}
