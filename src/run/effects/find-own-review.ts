import { isOurs } from "../../domain/hidden-line.ts";
import type { Review } from "../../domain/snapshot.ts";
import type { LookContext } from "./context.ts";

/** The submitted review of this account that carries the key, or null. */
export async function findOwnReview(
  { actor, item }: LookContext,
  pull: number,
  key: string,
): Promise<Review | null> {
  const reviews = await actor.reviews(item.repo, pull);
  const found = reviews.find(
    (review) => review.state !== "PENDING" && isOurs(review, key, actor.login),
  );
  return found ?? null;
}

/** Deletes this account's drafts: what an attempt that died has left would go out with the next review. */
export async function dropDrafts({ actor, item }: LookContext, pull: number): Promise<void> {
  for (const review of await actor.reviews(item.repo, pull)) {
    const isOwn = review.author.login.toLowerCase() === actor.login.toLowerCase();
    if (review.state === "PENDING" && isOwn) await actor.deleteReview(item.repo, pull, review.id);
  }
}
