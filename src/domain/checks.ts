import type { RepositoryPolicy } from "./policy.ts";
import type { Pull } from "./snapshot.ts";

/** What the statuses of a head say together; `contexts` are those that are waited for or failed. */
export type ChecksVerdict =
  | { readonly kind: "green" }
  | { readonly kind: "pending"; readonly contexts: readonly string[] }
  | { readonly kind: "failed"; readonly contexts: readonly string[] };

/**
 * What the newest status per context says about the head. `all` needs at least one status,
 * a list needs each named context, `none` needs nothing; a status that exists must be green anyway
 * unless a list names others.
 */
export function checksOf(pull: Pull, wanted: RepositoryPolicy["checks"]): ChecksVerdict {
  const named = typeof wanted === "string" ? null : wanted;
  const relevant = pull.checks.filter((check) => named === null || named.includes(check.context));
  const failed = relevant.filter(({ state }) => state === "error" || state === "failure");
  if (failed.length > 0) return { kind: "failed", contexts: failed.map(({ context }) => context) };
  const pending = relevant.filter(({ state }) => state === "pending").map(({ context }) => context);
  const missing = (named ?? []).filter(
    (context) => !relevant.some((check) => check.context === context),
  );
  if (wanted === "all" && relevant.length === 0)
    return { kind: "pending", contexts: ["any status"] };
  const waiting = [...pending, ...missing];
  return waiting.length > 0 ? { kind: "pending", contexts: waiting } : { kind: "green" };
}
