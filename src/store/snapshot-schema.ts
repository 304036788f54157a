import { z } from "zod";
import type { Snapshot } from "../domain/snapshot.ts";

const account = z.object({ id: z.number(), login: z.string() });

const comment = z.object({
  id: z.number(),
  number: z.number(),
  author: account,
  body: z.string(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

const act = z.object({
  id: z.number(),
  kind: z.enum([
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "closed",
    "reopened",
    "review_requested",
    "review_request_removed",
  ]),
  number: z.number(),
  actor: account,
  subject: account.nullable(),
  label: z.string().nullable(),
  at: z.number(),
});

const review = z.object({
  id: z.number(),
  author: account,
  state: z.enum(["APPROVED", "REQUEST_CHANGES", "COMMENT", "PENDING", "REQUEST_REVIEW"]),
  commitId: z.string(),
  official: z.boolean(),
  stale: z.boolean(),
  dismissed: z.boolean(),
  body: z.string(),
  submittedAt: z.number(),
  comments: z.array(
    z.object({
      id: z.number(),
      path: z.string(),
      line: z.number(),
      body: z.string(),
      hunk: z.string(),
      createdAt: z.number(),
    }),
  ),
});

const check = z.object({
  context: z.string(),
  state: z.enum(["pending", "success", "error", "failure", "warning", "skipped"]),
  description: z.string(),
  at: z.number(),
});

const pull = z.object({
  number: z.number(),
  title: z.string(),
  body: z.string(),
  author: account,
  state: z.enum(["open", "closed"]),
  merged: z.boolean(),
  draft: z.boolean(),
  headBranch: z.string(),
  headSha: z.string(),
  sameRepo: z.boolean(),
  baseBranch: z.string(),
  baseSha: z.string(),
  requestedReviewers: z.array(account),
  reviews: z.array(review),
  checks: z.array(check),
  changedPaths: z.array(z.string()),
  createdAt: z.number(),
  updatedAt: z.number(),
  endedAt: z.number().nullable(),
});

/** The last snapshot of an item as it was stored; the type check holds it to the domain's. */
export const snapshotSchema: z.ZodType<Snapshot> = z.object({
  item: z.object({ repo: z.string(), number: z.number() }),
  kind: z.enum(["issue", "pull"]),
  title: z.string(),
  body: z.string(),
  author: account,
  state: z.enum(["open", "closed"]),
  assignees: z.array(account),
  labels: z.array(z.string()),
  createdAt: z.number(),
  updatedAt: z.number(),
  comments: z.array(comment),
  acts: z.array(act),
  pull: pull.nullable(),
  writers: z.array(account),
  readAt: z.number(),
});
