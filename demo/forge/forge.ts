import type { DeliveryQueue } from "./delivery.ts";
import type { Faults } from "./faults.ts";
import type { GitRunner } from "./git-runner.ts";
import {
  type Account,
  type CodePlace,
  type ForgeState,
  type Issue,
  LIMITS,
  nextId,
  type PullIssue,
  type Row,
  type RowType,
} from "./state.ts";

/** The parts every route works with; built once by startForge. */
export type Forge = {
  state: ForgeState;
  git: GitRunner;
  deliveries: DeliveryQueue;
  faults: Faults;
  /** Base address without a final slash, e.g. http://127.0.0.1:41234. */
  url: () => string;
  /** Seconds since 1970: Forgejo keeps and shows whole seconds. */
  now: () => number;
  newId: () => string;
  timing: Timing;
  /** What follows the conflict check of a pull request: a scheduled merge. */
  afterCheck: (issue: PullIssue) => Promise<void>;
  /** Runs work later, under the forge's ownership: errors are recorded, stop() cancels it. */
  later: (delayMs: number, work: () => Promise<void>) => void;
};

/** How long the asynchronous parts of the forge take, in milliseconds. */
type Timing = { pushMs: number; mergeCheckMs: number };

/** What a new timeline row says besides its type and author. */
export type RowContent = Partial<Omit<Row, "id" | "type" | "author" | "createdAt">> & {
  code?: CodePlace;
};

/**
 * Appends a row to the timeline of an issue and moves its updated_at, as every comment of any type
 * does (Forgejo: models/issues/comment.go).
 * @throws Error when the issue has reached its limit of rows.
 */
export function addRow(
  forge: Forge,
  issue: Issue,
  type: RowType,
  { author, ...content }: RowContent & { author: Account },
): Row {
  if (issue.rows.length >= LIMITS.rows)
    throw new Error(`issue #${issue.number} has reached the limit of ${LIMITS.rows} rows`);
  const at = forge.now();
  const row: Row = {
    body: "",
    updatedAt: at,
    reactions: [],
    ...content,
    id: nextId(forge.state),
    type,
    author,
    createdAt: at,
  };
  issue.rows.push(row);
  issue.updatedAt = at;
  return row;
}

/**
 * Notes every account that a text mentions as `@login`, outside of code, after a space, a bracket or
 * the start (Forgejo: modules/references/references.go mentionPattern; asked for by
 * issues/search?mentioned).
 */
export function noteMentions(forge: Forge, issue: Issue, text: string): void {
  const plain = text
    .replace(/^(`{3,}|~{3,})[\s\S]*?(?:^\1|$(?![\s\S]))/gm, " ")
    .replace(/(`+)[\s\S]*?\1/g, " ");
  for (const match of plain.matchAll(/(?<=^|[\s([*_~>|])@([A-Za-z0-9][A-Za-z0-9_.-]*)/gm)) {
    const login = (match[1] ?? "").replace(/[._-]+$/, "").toLowerCase();
    const account = forge.state.accounts.find((one) => one.login.toLowerCase() === login);
    if (account?.kind === "user") issue.mentioned.add(account.id);
  }
}
