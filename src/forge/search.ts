import type { ChangedItem } from "../ports/forge.ts";
import type { Caller, Query } from "./calls.ts";
import { FoundRow } from "./schema.ts";

const PATH = "/repos/issues/search";
/** Of 50: what ten thousand open items are found by at the very first question, and some more. */
const PAGES_MAX = 1_000;
/** The flags are joined by "and", so each is a search of its own (Forgejo: routers/api/v1/repo/issue.go). */
const FLAGS = ["assigned", "review_requested", "created", "mentioned"] as const;

/**
 * Everything assigned to, requested of, created by or mentioning the caller's account, in any
 * state (with `since` 0: what is open), updated since (epoch ms by the forge's clock; the forge counts whole seconds, so the
 * second it falls in is included). @throws ForgeFailure
 */
export async function findChanged(caller: Caller, since: number): Promise<readonly ChangedItem[]> {
  // At the very first question what has ended long ago is nobody's work any more.
  const scope = since > 0 ? { state: "all", since: secondOf(since) } : { state: "open" };
  const lists = await Promise.all(
    FLAGS.map((flag) => search(caller, { ...scope, [flag]: "true" })),
  );
  return unique(lists.flat());
}

/**
 * Open issues that carry the label, of all repositories of the owner that the caller may read (null:
 * of everybody), updated since. @throws ForgeFailure
 */
export async function findLabelled(
  caller: Caller,
  owner: string | null,
  label: string,
  since: number,
): Promise<readonly ChangedItem[]> {
  const scope = { state: "open", type: "issues", labels: label, since: secondOf(since) };
  const rows = await search(caller, { ...scope, ...ofOwner(owner) });
  return unique(rows.filter((row) => row.labels.some(({ name }) => name === label)));
}

/** Issues and pull requests in any state of all repositories of the owner (null: of everybody), updated since. @throws ForgeFailure */
export async function findChangedOf(
  caller: Caller,
  owner: string | null,
  since: number,
): Promise<readonly ChangedItem[]> {
  const scope = { state: "all", since: secondOf(since) };
  return unique(await search(caller, { ...scope, ...ofOwner(owner) }));
}

function ofOwner(owner: string | null): Query {
  return owner === null ? {} : { owner };
}

async function search(caller: Caller, query: Query): Promise<FoundRow[]> {
  return await caller.list(PATH, FoundRow, query, PAGES_MAX);
}

function secondOf(since: number): string {
  return new Date(Math.floor(Math.max(since, 0) / 1000) * 1000).toISOString();
}

function unique(rows: readonly FoundRow[]): readonly ChangedItem[] {
  const items = rows.map((row) => ({
    repo: row.repository.full_name.toLowerCase(),
    number: row.number,
    updatedAt: row.updated_at,
    state: row.state,
  }));
  return [...new Map(items.map((item) => [`${item.repo}#${item.number}`, item])).values()];
}
