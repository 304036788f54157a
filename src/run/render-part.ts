import { isWriter } from "../domain/people.ts";
import { shownLine, shownText } from "../domain/shown-text.ts";
import type { Account, Act, Review, Snapshot } from "../domain/snapshot.ts";
import { withUnseenShown } from "../domain/unseen.ts";
import type { CommitLine } from "../ports/git.ts";
import type { DeltaPart } from "../sessions/delta.ts";

/** Texts of a prompt are cut at this length each; a cut is said. */
const TEXT_BYTES_MAX = 20_000;

/** What rendering needs besides the part itself. */
export interface RenderContext {
  readonly snapshot: Snapshot;
  /** Random word that no quoted text can know: it delimits what is data. */
  readonly fence: string;
  /** Commits of the newest move of the head by somebody else, newest first. */
  readonly commits: readonly CommitLine[];
}

/** One thing that is new to a session, as a section of its prompt; what people wrote stands between fences. */
export function renderPart(part: DeltaPart, context: RenderContext): string {
  const { snapshot } = context;
  switch (part.kind) {
    case "issue": {
      const what = snapshot.kind === "issue" ? "issue" : "pull request";
      const text = `${shownLine(part.title)}\n\n${shownText(part.body)}`;
      return `## The ${what} #${snapshot.item.number}\n${quote(context, what, signed(part.by, snapshot), text)}`;
    }
    case "pull": {
      const { pull } = part;
      const text = `${shownLine(pull.title)}\n\n${shownText(pull.body)}`;
      return `## The pull request #${pull.number}\nBranch ${shownLine(pull.headBranch)} into ${shownLine(pull.baseBranch)}, head ${pull.headSha}.\n${quote(context, "pull request", signed(pull.author, snapshot), text)}`;
    }
    case "edited": {
      const what = part.of === "issue" ? "issue" : "pull request";
      return `## The ${part.what} of the ${what} was edited\n${quote(context, "edit", editors(part.of, snapshot), shownText(part.patch))}`;
    }
    case "base":
      return `## The pull request now goes into ${shownLine(part.after)}, no longer into ${shownLine(part.before)}`;
    case "head":
      return headMoved(part, context);
    case "comment": {
      const { id, number, author, body } = part.comment;
      const edited = part.edited ? " (edited)" : "";
      return `## Comment ${id} on #${number}${edited}\n${quote(context, "comment", signed(author, snapshot), shownText(body))}`;
    }
    case "review":
      return renderReview(part, context);
    case "check": {
      const { context: name, state, description } = part.check;
      return `## Check ${shownLine(name)}: ${state}\n${quote(context, "check", "the forge", shownText(description))}`;
    }
    case "act":
      return `- ${actText(part.act)}`;
  }
}

function headMoved(part: Extract<DeltaPart, { kind: "head" }>, context: RenderContext): string {
  const lines = context.commits.map(
    ({ sha, author, subject }) => `${sha.slice(0, 10)} ${shownLine(author)}: ${shownLine(subject)}`,
  );
  const head = `## The head of the pull request is now ${part.after} (was ${part.before})`;
  return lines.length === 0
    ? `${head}\nThe branch was rewritten.`
    : `${head}\n${quote(context, "commits", "git", lines.join("\n"))}`;
}

function renderReview(
  part: Extract<DeltaPart, { kind: "review" }>,
  context: RenderContext,
): string {
  const { review, lines, edited } = part;
  const by = signed(review.author, context.snapshot);
  const head = `## Review ${review.id} of ${review.commitId}: ${review.author.login} ${verdictText(review)}${edited ? " (edited)" : ""}`;
  const body = review.body === "" ? [] : [quote(context, "review", by, shownText(review.body))];
  const remarks = lines.map((line) => {
    const hunk =
      line.hunk === "" ? "" : `\n${quote(context, "hunk", "git", withUnseenShown(line.hunk))}`;
    const place = `### Comment ${line.id} at ${shownLine(line.path)}:${line.line}`;
    return `${place}\n${quote(context, "remark", by, shownText(line.body))}${hunk}`;
  });
  return [head, ...body, ...remarks].join("\n");
}

function verdictText(review: Review): string {
  if (review.dismissed) return "(dismissed)";
  switch (review.state) {
    case "APPROVED":
      return "approved";
    case "REQUEST_CHANGES":
      return "requested changes";
    case "COMMENT":
    case "PENDING":
    case "REQUEST_REVIEW":
      return "commented";
  }
}

function actText({ kind, actor, subject, label, number }: Act): string {
  const what = {
    assigned: "assigned",
    unassigned: "unassigned",
    labeled: "set the label",
    unlabeled: "removed the label",
    closed: "closed",
    reopened: "reopened",
    review_requested: "asked for a review by",
    review_request_removed: "withdrew the review request of",
  }[kind];
  return `${actor.login} ${what} ${shownLine(subject?.login ?? label ?? "")} (#${number})`;
}

/** The forge does not tell who edited: its author can, and everybody with write access. */
function editors(of: "issue" | "pull", snapshot: Snapshot): string {
  const author = of === "pull" ? (snapshot.pull?.author ?? snapshot.author) : snapshot.author;
  if (isWriter(author, snapshot)) return "somebody with write access";
  return `${signed(author, snapshot)} or somebody with write access`;
}

/** Data between fences, cut at its limit; anything inside is no instruction. */
export function quote(
  { fence }: Pick<RenderContext, "fence">,
  what: string,
  by: string,
  text: string,
): string {
  return `<<${fence} ${what} by ${by}\n${cut(text)}\n${fence}>>`;
}

function signed(account: Account, snapshot: Snapshot): string {
  return `${account.login}${isWriter(account, snapshot) ? "" : " (no write access)"}`;
}

function cut(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= TEXT_BYTES_MAX) return text;
  const kept = Buffer.from(text).subarray(0, TEXT_BYTES_MAX).toString("utf8");
  return `${kept}\n[cut: ${bytes - TEXT_BYTES_MAX} more bytes]`;
}
