import { z } from "zod";
import type { MarkTarget } from "../ports/store/marks.ts";

/** The few things a delivery is read for; everything else is asked of the forge. */
export interface Hint {
  /** `owner/name` in lower case; null when an event we pass over has none. */
  readonly repo: string | null;
  /** Login of who did it; null where the forge does not say (Forgejo's action_run_*). */
  readonly sender: string | null;
  /** The word of `action`; null for events without one. */
  readonly action: string | null;
  /** What to look at again; null: nothing (a tag, an event that concerns nobody). */
  readonly target: MarkTarget | null;
}

/** What was read of a payload; an event that concerns nobody has no kind, and perhaps no repository. */
export type Reading =
  | { readonly kind: EventKind; readonly hint: KnownHint }
  | { readonly kind: null; readonly hint: Hint };

/** A reading, or the wrong field by its path and what is wrong with it (never its value). */
export type PayloadReading =
  | (Reading & { readonly ok: true })
  | { readonly ok: false; readonly wrong: string };

type KnownHint = Hint & { readonly repo: string };

/** What is known of an event type. */
interface EventKind {
  /** The actions a forge sends with it. */
  readonly actions: ReadonlySet<string>;
  /** The actions that mark nothing when an agent of ours did them: it made no news for itself. */
  readonly echoes: ReadonlySet<string>;
}

/**
 * Reads the payload of an event type with the schema of only the fields we use. Event types that
 * concern nobody (`release`, `wiki`, unknown ones, …) have `kind: null` and need only be an object.
 * Sources: Forgejo and Gitea modules/structs/hook.go, modules/webhook/type.go.
 */
export function readPayload(event: string, value: unknown): PayloadReading {
  const known = EVENTS.get(event);
  if (known === undefined) {
    const result = passedOver.safeParse(value);
    return result.success ? { ok: true, kind: null, hint: result.data } : wrong(result.error);
  }
  const result = known.schema.safeParse(value);
  return result.success ? { ok: true, kind: known.kind, hint: result.data } : wrong(result.error);
}

function wrong({ issues }: z.ZodError): { readonly ok: false; readonly wrong: string } {
  const [first] = issues.map(
    ({ path, message }) => `${path.length === 0 ? "body" : path.join(".")}: ${message}`,
  );
  return { ok: false, wrong: String(first) };
}

const NUMBER = "must be an integer from 1 to 2147483647";
const itemNumber = z
  .int({ error: NUMBER })
  .min(1, { error: NUMBER })
  .max(2 ** 31 - 1, { error: NUMBER });
const word = z.string().regex(/^[a-z_]{1,64}$/, { error: "must be 1 to 64 of a-z and _" });
const sha = z
  .string()
  .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, { error: "must be a commit id in lower hex" });
const ref = z.string().min(1).max(1024);
/** Names of owners and repositories as Forgejo allows them; never `.` or `..`. */
const segment = String.raw`(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,100}`;
const repository = z.object({
  full_name: z
    .string()
    .regex(new RegExp(`^${segment}/${segment}$`), { error: "must be owner/name" })
    .transform((name) => name.toLowerCase()),
});
const account = z.object({ login: z.string().min(1).max(255) });

const issueEvent = z
  .object({
    action: word,
    issue: z.object({ number: itemNumber }),
    repository,
    sender: account,
  })
  .transform((event) => hint(event, { kind: "number", number: event.issue.number }));

const pullEvent = z
  .object({
    action: word,
    pull_request: z.object({ number: itemNumber }),
    repository,
    sender: account,
  })
  .transform((event) => hint(event, { kind: "number", number: event.pull_request.number }));

const pushEvent = z
  .object({ ref, repository, sender: account.nullish() })
  .transform((event) =>
    hint(event, event.ref.startsWith("refs/heads/") ? branchTarget(event.ref) : null),
  );

/** Hooks of type forgejo send `refs/heads/x`, Gitea and hooks of type gitea only `x`. */
const refEvent = z
  .object({ ref, ref_type: word, repository, sender: account.nullish() })
  .transform((event) => hint(event, event.ref_type === "branch" ? branchTarget(event.ref) : null));

const statusEvent = z
  .object({ sha, repository, sender: account.nullish() })
  .transform((event) => hint(event, { kind: "sha", sha: event.sha }));

const workflowEvent = z
  .object({
    action: word,
    workflow_run: z.object({ head_sha: sha }),
    repository,
    sender: account.nullish(),
  })
  .transform((event) => hint(event, { kind: "sha", sha: event.workflow_run.head_sha }));

/** Forgejo's own: neither a top-level repository nor a sender. */
const actionRunEvent = z
  .object({ action: word, run: z.object({ commit_sha: sha, repository }) })
  .transform((event) =>
    hint(
      { action: event.action, repository: event.run.repository },
      { kind: "sha", sha: event.run.commit_sha },
    ),
  );

const passedOver = z
  .object({
    repository: repository.nullish().catch(null),
    sender: account.nullish().catch(null),
  })
  .transform(
    ({ repository: named, sender }): Hint => ({
      repo: named?.full_name ?? null,
      sender: sender?.login ?? null,
      action: null,
      target: null,
    }),
  );

function hint(
  event: {
    action?: string;
    repository: { full_name: string };
    sender?: { login: string } | null | undefined;
  },
  target: MarkTarget | null,
): KnownHint {
  return {
    repo: event.repository.full_name,
    sender: event.sender?.login ?? null,
    action: event.action ?? null,
    target,
  };
}

/** A mark for a branch name git could have; null for any other, and for one that looks like an option. */
function branchTarget(name: string): MarkTarget | null {
  const branch = name.startsWith("refs/heads/") ? name.slice("refs/heads/".length) : name;
  const impossible =
    branch.length === 0 ||
    branch.length > 255 ||
    !branch.isWellFormed() ||
    /^[-/.]|[\p{Cc}\p{Z}~^:?*[\\]|\.\.|\/\/|@\{|\/$|\.$|\.lock$/u.test(branch);
  return impossible ? null : { kind: "branch", branch };
}

function kind(actions: string | null, echoes: "all" | "edited" | "none"): EventKind {
  const known = new Set(actions?.split(" "));
  const mute = { all: known, edited: new Set(["edited"]), none: new Set<string>() };
  return { actions: known, echoes: mute[echoes] };
}

/**
 * Every event type that concerns us, by the value of X-*-Event-Type. A Map: the name comes from
 * outside. Comments, labels, assignments, milestones and edits by our own agents are echoes; what
 * they open, push, review, request and close is news for the others.
 */
const EVENTS: ReadonlyMap<
  string,
  { readonly schema: z.ZodType<KnownHint>; readonly kind: EventKind }
> = new Map([
  ["issues", { schema: issueEvent, kind: kind("opened closed reopened edited deleted", "edited") }],
  ["issue_assign", { schema: issueEvent, kind: kind("assigned unassigned", "all") }],
  ["issue_label", { schema: issueEvent, kind: kind("label_updated label_cleared", "all") }],
  ["issue_milestone", { schema: issueEvent, kind: kind("milestoned demilestoned", "all") }],
  ["issue_comment", { schema: issueEvent, kind: kind("created edited deleted", "all") }],
  ["pull_request_comment", { schema: issueEvent, kind: kind("created edited deleted", "all") }],
  [
    "pull_request",
    { schema: pullEvent, kind: kind("opened closed reopened edited deleted", "edited") },
  ],
  ["pull_request_assign", { schema: pullEvent, kind: kind("assigned unassigned", "all") }],
  ["pull_request_label", { schema: pullEvent, kind: kind("label_updated label_cleared", "all") }],
  ["pull_request_milestone", { schema: pullEvent, kind: kind("milestoned demilestoned", "all") }],
  ["pull_request_sync", { schema: pullEvent, kind: kind("synchronized", "none") }],
  [
    "pull_request_review_request",
    { schema: pullEvent, kind: kind("review_requested review_request_removed", "none") },
  ],
  ["pull_request_review_approved", { schema: pullEvent, kind: kind("reviewed", "none") }],
  ["pull_request_review_rejected", { schema: pullEvent, kind: kind("reviewed", "none") }],
  ["pull_request_review_comment", { schema: pullEvent, kind: kind("reviewed", "none") }],
  ["push", { schema: pushEvent, kind: kind(null, "none") }],
  ["create", { schema: refEvent, kind: kind(null, "none") }],
  ["delete", { schema: refEvent, kind: kind(null, "none") }],
  ["status", { schema: statusEvent, kind: kind(null, "none") }],
  [
    "workflow_run",
    { schema: workflowEvent, kind: kind("requested in_progress completed", "none") },
  ],
  ["action_run_success", { schema: actionRunEvent, kind: kind("success", "none") }],
  ["action_run_failure", { schema: actionRunEvent, kind: kind("failure", "none") }],
  ["action_run_recover", { schema: actionRunEvent, kind: kind("recover", "none") }],
]);
