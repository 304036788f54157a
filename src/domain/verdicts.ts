import type { Account, Pull, Review } from "./snapshot.ts";

/**
 * The newest APPROVED or REQUEST_CHANGES of every account; COMMENT, PENDING and REQUEST_REVIEW rows
 * are passed over. A dismissed row counts as no verdict: the one before it does not come back.
 */
export function verdicts(pull: Pull): readonly Review[] {
  const newest = new Map<number, Review>();
  for (const review of pull.reviews) {
    if (review.state !== "APPROVED" && review.state !== "REQUEST_CHANGES") continue;
    const known = newest.get(review.author.id);
    if (known === undefined || review.id > known.id) newest.set(review.author.id, review);
  }
  return [...newest.values()].filter((review) => !review.dismissed);
}

/** The verdict of one account, by its login without case; undefined: it has none. */
export function verdictOf(account: Pick<Account, "login">, pull: Pull): Review | undefined {
  const login = account.login.toLowerCase();
  return verdicts(pull).find((review) => review.author.login.toLowerCase() === login);
}

/** The account's newest submitted review of any kind, also a plain comment. */
export function lastReviewOf(account: Pick<Account, "login">, pull: Pull): Review | undefined {
  const login = account.login.toLowerCase();
  return pull.reviews
    .filter(
      (review) =>
        review.author.login.toLowerCase() === login &&
        review.state !== "REQUEST_REVIEW" &&
        review.state !== "PENDING",
    )
    .reduce<Review | undefined>(
      (best, next) => (best === undefined || next.id > best.id ? next : best),
      undefined,
    );
}
