import type { RunOrder } from "../domain/decision.ts";
import { isWriter } from "../domain/people.ts";
import type { Account, Snapshot } from "../domain/snapshot.ts";
import type { News } from "../sessions/news.ts";

/** Texts of a prompt are cut at this length each; a cut is said. */
const TEXT_BYTES_MAX = 20_000;

export interface PromptInput {
  readonly order: RunOrder;
  readonly run: string;
  readonly resumed: boolean;
  /** Text of the skill's prompt file. */
  readonly skillText: string;
  readonly snapshot: Snapshot;
  readonly news: News;
  /** The repository's own guide from its base branch; only in a start prompt. */
  readonly guide: string | null;
  /** What a review or merge looks at; null for the other skills. */
  readonly diff: { readonly from: string; readonly to: string; readonly text: string } | null;
  /** What the run before left undone; only when a session is continued. */
  readonly finding: string | null;
  /** Where the clone stands and what was done to it. */
  readonly workspace: string;
  /** Random word that no quoted text can know: it delimits what is data. */
  readonly fence: string;
}

/**
 * The text Claude gets. Its first line names the order for machines; then comes the skill, then
 * facts, and everything that people wrote stands between fences, with its author.
 */
export function composePrompt(input: PromptInput): string {
  const { order, snapshot, run, resumed } = input;
  const { repo, number } = snapshot.item;
  const mode = resumed ? "resume" : "start";
  const head = `claude-hooks: ${order.skill} ${repo}#${number} as ${order.agent}, run ${run}, ${mode}`;
  const parts = [head, input.skillText];
  if (input.finding !== null) parts.push(`## Your last run\n${input.finding}`);
  parts.push(`## Where you stand\n${input.workspace}\nWhy you were called: ${order.reason}.`);
  if (!resumed) parts.push(...startParts(input));
  parts.push(...newsParts(input));
  if (input.diff !== null) {
    parts.push(
      `## Changes from ${input.diff.from} to ${input.diff.to}\n${quote(input, "diff", "git", input.diff.text)}`,
    );
  }
  return parts.join("\n\n");
}

function startParts(input: PromptInput): readonly string[] {
  const { snapshot, guide } = input;
  const { pull } = snapshot;
  const what = snapshot.kind === "issue" ? "issue" : "pull request";
  const title = oneLine(snapshot.title);
  const parts = [
    `## The ${what} #${snapshot.item.number}\n${quote(input, what, signed(snapshot.author, snapshot), `${title}\n\n${snapshot.body}`)}`,
  ];
  if (pull !== null && pull.number !== snapshot.item.number) {
    parts.push(
      `## The pull request #${pull.number}\nBranch ${pull.headBranch} into ${pull.baseBranch}, head ${pull.headSha}.\n${quote(input, "pull request", signed(pull.author, snapshot), `${oneLine(pull.title)}\n\n${pull.body}`)}`,
    );
  }
  if (guide !== null) {
    parts.push(
      `## The repository's guide (base branch)\n${quote(input, "guide", "repository", guide)}`,
    );
  }
  return parts;
}

function newsParts(input: PromptInput): readonly string[] {
  const { news, snapshot } = input;
  const parts: string[] = [];
  for (const comment of news.comments) {
    parts.push(
      `## Comment ${comment.id} on #${comment.number}\n${quote(input, "comment", signed(comment.author, snapshot), comment.body)}`,
    );
  }
  for (const { review, lines } of news.reviews) {
    const verdict = review.state === "REQUEST_CHANGES" ? "requested changes" : review.state;
    const by = signed(review.author, snapshot);
    const text = review.body === "" ? "" : `\n${quote(input, "review", by, review.body)}`;
    const remarks = lines.map(
      (line) =>
        `### Comment ${line.id} at ${oneLine(line.path)}:${line.line}\n${quote(input, "remark", by, line.body)}`,
    );
    parts.push(
      [
        `## Review ${review.id} of ${review.commitId}: ${review.author.login} ${verdict}${text}`,
        ...remarks,
      ].join("\n"),
    );
  }
  return parts;
}

function quote(input: PromptInput, what: string, by: string, text: string): string {
  const body = cut(text);
  return `<<${input.fence} ${what} by ${by}\n${body}\n${input.fence}>>`;
}

function signed(account: Account, snapshot: Snapshot): string {
  return `${account.login}${isWriter(account, snapshot) ? "" : " (no write access)"}`;
}

function cut(text: string): string {
  if (Buffer.byteLength(text) <= TEXT_BYTES_MAX) return text;
  const kept = Buffer.from(text).subarray(0, TEXT_BYTES_MAX).toString("utf8");
  return `${kept}\n[cut: ${Buffer.byteLength(text) - TEXT_BYTES_MAX} more bytes]`;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n\u2028\u2029]+/gu, " ");
}
