import { createPatch } from "diff";
import { digestOf, type Seen, type SeenPull } from "../domain/seen.ts";
import type {
  Account,
  Act,
  Check,
  Comment,
  LineComment,
  Pull,
  Review,
  Snapshot,
} from "../domain/snapshot.ts";
import { textId } from "../domain/texts.ts";

/** One thing a session has not been shown yet. */
export type DeltaPart =
  | { readonly kind: "issue"; readonly title: string; readonly body: string; readonly by: Account }
  | { readonly kind: "pull"; readonly pull: Pull }
  | {
      readonly kind: "edited";
      readonly of: "issue" | "pull";
      readonly what: "title" | "body";
      /** Unified diff from what the session knows. */
      readonly patch: string;
    }
  | { readonly kind: "base"; readonly before: string; readonly after: string }
  /** The branch has moved by somebody else's push. */
  | { readonly kind: "head"; readonly before: string; readonly after: string }
  | { readonly kind: "comment"; readonly comment: Comment; readonly edited: boolean }
  | {
      readonly kind: "review";
      readonly review: Review;
      readonly lines: readonly LineComment[];
      readonly edited: boolean;
    }
  | { readonly kind: "check"; readonly check: Check }
  | { readonly kind: "act"; readonly act: Act };

/** What a session has not been shown yet. */
export interface Delta {
  readonly parts: readonly DeltaPart[];
  /** What the session has seen once it has read the parts. */
  readonly seen: Seen;
}

/** Whose session it is and whose words it may be shown. */
export interface Reader {
  /** Login of the agent: a session is not told what it wrote and did itself. */
  readonly self: string;
  readonly isTrusted: (author: Account) => boolean;
  /** Shas this service pushed for the agent: they are no news to it. */
  readonly ownShas: ReadonlySet<string>;
}

/**
 * The difference between what a session has seen and what the forge says now. With `before` null
 * (a new conversation) that is everything, also what the agent itself wrote in an earlier one: the
 * answer to its question would make no sense without the question.
 */
export function deltaOf(before: Seen | null, snapshot: Snapshot, reader: Reader): Delta {
  const isOwn = (author: Account): boolean =>
    author.login.toLowerCase() === reader.self.toLowerCase();
  const fromOthers = (author: Account): boolean => !isOwn(author) && reader.isTrusted(author);
  const texts: Record<string, string> = { ...before?.texts };
  const parts: DeltaPart[] = [
    ...issueParts(before, snapshot),
    ...pullParts(before, snapshot, reader),
  ];
  const isNews = (id: string, words: string): "new" | "edited" | null => {
    const digest = digestOf(words);
    const known = texts[id];
    texts[id] = digest;
    if (known === undefined) return "new";
    return known === digest ? null : "edited";
  };
  for (const comment of snapshot.comments) {
    if (isOwn(comment.author) && before === null) {
      parts.push({ kind: "comment", comment, edited: false });
    }
    if (!fromOthers(comment.author)) continue;
    const news = isNews(textId.comment(comment.id), comment.body);
    if (news !== null) parts.push({ kind: "comment", comment, edited: news === "edited" });
  }
  for (const review of snapshot.pull?.reviews ?? []) {
    if (review.state === "REQUEST_REVIEW") continue;
    if (isOwn(review.author) && before === null) {
      parts.push({ kind: "review", review, lines: review.comments, edited: false });
    }
    if (!fromOthers(review.author)) continue;
    const lines = review.comments.filter(({ id, body }) => isNews(textId.line(id), body) !== null);
    const state = review.dismissed ? "dismissed" : review.state;
    const news = isNews(textId.review(review.id), `${state} ${review.body}`);
    if (news === null && lines.length === 0) continue;
    parts.push({ kind: "review", review, lines, edited: news === "edited" });
  }
  const checks = snapshot.pull?.checks ?? [];
  for (const check of checks) {
    if (before?.checks[check.context] !== checkMark(check)) parts.push({ kind: "check", check });
  }
  const told = new Set(before?.acts ?? []);
  const acts = snapshot.acts.filter(({ actor, kind }) => fromOthers(actor) && kind !== "closed");
  for (const act of acts) if (!told.has(act.id)) parts.push({ kind: "act", act });
  return {
    parts,
    seen: {
      title: snapshot.title,
      body: snapshot.body,
      pull: snapshot.pull === null ? null : seenPull(snapshot.pull),
      texts,
      checks: Object.fromEntries(checks.map((check) => [check.context, checkMark(check)])),
      acts: acts.map(({ id }) => id),
    },
  };
}

function issueParts(before: Seen | null, snapshot: Snapshot): readonly DeltaPart[] {
  const { title, body, author } = snapshot;
  if (before === null) return [{ kind: "issue", title, body, by: author }];
  return editedParts("issue", before, snapshot);
}

function pullParts(session: Seen | null, snapshot: Snapshot, reader: Reader): readonly DeltaPart[] {
  const { pull } = snapshot;
  if (pull === null || pull.number === snapshot.item.number) return [];
  const before = session?.pull ?? null;
  const isOwn = pull.author.login.toLowerCase() === reader.self.toLowerCase();
  // The session that opened a pull request knows it before anybody tells it.
  if (before === null || before.number !== pull.number)
    return isOwn && session !== null ? [] : [{ kind: "pull", pull }];
  const parts: DeltaPart[] = [...editedParts("pull", before, pull)];
  if (before.base !== pull.baseBranch) {
    parts.push({ kind: "base", before: before.base, after: pull.baseBranch });
  }
  if (before.head !== pull.headSha && !reader.ownShas.has(pull.headSha)) {
    parts.push({ kind: "head", before: before.head, after: pull.headSha });
  }
  return parts;
}

function editedParts(
  of: "issue" | "pull",
  before: { readonly title: string; readonly body: string },
  after: { readonly title: string; readonly body: string },
): readonly DeltaPart[] {
  return (["title", "body"] as const)
    .filter((what) => before[what] !== after[what])
    .map((what) => ({
      kind: "edited",
      of,
      what,
      patch: createPatch(what, before[what], after[what], "before", "now"),
    }));
}

function seenPull(pull: Pull): SeenPull {
  const { number, title, body, baseBranch, headSha } = pull;
  return { number, title, body, base: baseBranch, head: headSha };
}

function checkMark({ state, at }: Check): string {
  return `${state}@${at}`;
}
