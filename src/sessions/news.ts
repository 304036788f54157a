import type { Comment, LineComment, Review, Snapshot } from "../domain/snapshot.ts";
import { textId } from "../domain/texts.ts";

/** What a session has not been shown yet. */
export interface News {
  readonly comments: readonly Comment[];
  /** Reviews with words in them; `lines` holds only the line comments not shown yet. */
  readonly reviews: readonly { readonly review: Review; readonly lines: readonly LineComment[] }[];
}

/**
 * Everything in the snapshot that `isTrusted` people and agents wrote and that is not among the
 * texts in `shown`, except what `self` wrote: an agent knows its own words.
 */
export function newsFor(
  snapshot: Snapshot,
  seen: {
    readonly shown: ReadonlySet<string>;
    readonly self: string;
    readonly isTrusted: (author: { id: number; login: string }) => boolean;
  },
): News {
  const fromOthers = (author: { id: number; login: string }): boolean =>
    author.login.toLowerCase() !== seen.self.toLowerCase() && seen.isTrusted(author);
  const comments = snapshot.comments.filter(
    ({ id, author }) => fromOthers(author) && !seen.shown.has(textId.comment(id)),
  );
  const reviews = (snapshot.pull?.reviews ?? [])
    .filter(({ author, state }) => fromOthers(author) && state !== "REQUEST_REVIEW")
    .map((review) => ({
      review,
      lines: review.comments.filter(({ id }) => !seen.shown.has(textId.line(id))),
    }))
    .filter(({ review, lines }) => lines.length > 0 || !seen.shown.has(textId.review(review.id)));
  return { comments, reviews };
}

/** The ids under which these texts count as shown. */
export function shownBy(news: News): readonly string[] {
  return [
    ...news.comments.map(({ id }) => textId.comment(id)),
    ...news.reviews.flatMap(({ review, lines }) => [
      textId.review(review.id),
      ...lines.map(({ id }) => textId.line(id)),
    ]),
  ];
}
