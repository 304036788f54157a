import {
  type ForgeActor,
  ForgeFailure,
  type NewPull,
  type OpenPullAnswer,
} from "../ports/forge.ts";
import type { Caller, Write } from "./calls.ts";
import { type ForgeAnswer, refusalOf } from "./exchange.ts";
import { findPulls } from "./find-pulls.ts";
import { merge } from "./merge.ts";
import { repoPath } from "./paths.ts";
import { readReviews } from "./read-pull.ts";
import { IdRow, NumberRow, ReviewRow } from "./schema.ts";

/** What one account does, each write sent exactly once. Calls and bodies: Forgejo's API reference. */
export function createActor(caller: Caller, login: string): ForgeActor {
  return {
    login,
    comment: async (repo, number, body) => {
      const path = repoPath(repo, "issues", number, "comments");
      return await caller.sendFor({ method: "POST", path, body: { body } }, IdRow);
    },
    react: async ({ repo, number, comment }, content) => {
      const target = comment === null ? [number] : ["comments", comment];
      const path = repoPath(repo, "issues", ...target, "reactions");
      await done(caller, { method: "POST", path, body: { content } });
    },
    openPull: async (repo, pull) => await openPull(caller, repo, pull),
    reviews: async (repo, number) => await readReviews(caller, repo, { number, known: [] }),
    submitReview: async (repo, pull, review) => {
      const path = repoPath(repo, "pulls", pull, "reviews");
      const comments = review.comments.map((comment) => ({
        path: comment.path,
        body: comment.body,
        new_position: comment.line,
        old_position: 0,
      }));
      const body = { event: review.event, body: review.body, commit_id: review.commitId, comments };
      const made = await caller.sendFor({ method: "POST", path, body }, ReviewRow);
      if (made.state !== review.event)
        throw new ForgeFailure(
          "malformed",
          `POST ${path}: asked for ${review.event}, the review is ${made.state}`,
        );
      return { id: made.id };
    },
    deleteReview: async (repo, pull, review) => {
      const path = repoPath(repo, "pulls", pull, "reviews", review);
      await done(caller, { method: "DELETE", path }, [404]);
    },
    requestReview: async (repo, pull, logins) => {
      const path = repoPath(repo, "pulls", pull, "requested_reviewers");
      await done(caller, { method: "POST", path, body: { reviewers: logins } });
    },
    merge: async (repo, pull, order) => await merge(caller, repo, { pull, order }),
    cancelScheduledMerge: async (repo, pull) => {
      await done(caller, { method: "DELETE", path: repoPath(repo, "pulls", pull, "merge") }, [404]);
    },
    deleteBranch: async (repo, branch) => {
      const path = repoPath(repo, "branches", branch);
      return (await done(caller, { method: "DELETE", path }, [404])).status !== 404;
    },
  };
}

/** A 409 says that an open one exists; which, is looked up rather than read from the message. */
async function openPull(caller: Caller, repo: string, pull: NewPull): Promise<OpenPullAnswer> {
  const { head, base, title, body } = pull;
  const path = repoPath(repo, "pulls");
  const order = { method: "POST", path, body: { head, base, title, body } } as const;
  try {
    return { kind: "created", number: (await caller.sendFor(order, NumberRow)).number };
  } catch (error) {
    if (!(error instanceof ForgeFailure) || error.status !== 409) throw error;
    const open = await findPulls(caller, repo, { branches: [head], since: 0, state: "open" });
    const existing = open.find((row) => row.base.ref === base);
    if (existing === undefined) throw error;
    return { kind: "exists", number: existing.number };
  }
}

async function done(
  caller: Caller,
  order: Write,
  also: readonly number[] = [],
): Promise<ForgeAnswer> {
  const answer = await caller.send(order);
  if (answer.status >= 400 && !also.includes(answer.status))
    throw refusalOf({ ...order, token: "" }, answer);
  return answer;
}
