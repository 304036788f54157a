import { GitFailure, type GitFailureKind } from "../ports/git.ts";

/** @returns a GitFailure that keeps what it was made from as its cause. */
export function wrapped(kind: GitFailureKind, message: string, cause: unknown): GitFailure {
  return new GitFailure(kind, message, cause);
}
