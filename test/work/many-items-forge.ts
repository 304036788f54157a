import { Database } from "bun:sqlite";
import type { ItemRef, Snapshot } from "../../src/domain/snapshot.ts";
import { alice, boss, HEAD, pullWith, reviewer, snapshotWith } from "../support/world.ts";

export const ISSUES_OF_REPOSITORY = 50;
const HOUR_MS = 60 * 60_000;

/** An issue with its pull request; what a test changes here the forge shows. */
export interface ManyItem {
  readonly item: ItemRef;
  updatedAt: number;
  state: "open" | "closed";
  dismissed: boolean;
  assigned: boolean;
}

/** A forge that shows nothing but many open issues, each with an open pull request that waits for its review. */
export interface ManyItemsForge extends AsyncDisposable {
  readonly url: string;
  readonly items: readonly ManyItem[];
  /** Requests since the last call, as `METHOD /path?query`. */
  takeRequests(): readonly string[];
}

export function manyItemsForge(repositories: number, now: number): ManyItemsForge {
  const items = Array.from({ length: repositories }, (_, repo) =>
    Array.from(
      { length: ISSUES_OF_REPOSITORY },
      (_, index): ManyItem => ({
        item: { repo: `acme/r${repo}`, number: index + 1 },
        updatedAt: now - HOUR_MS,
        ...{ state: "open", dismissed: false, assigned: true },
      }),
    ),
  ).flat();
  const byName = new Map(items.map((one) => [`${one.item.repo}#${one.item.number}`, one]));
  let seen: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      const url = new URL(request.url);
      const path = url.pathname.replace("/api/v1/repos/", "");
      seen.push(`${request.method} ${path}${url.search}`);
      if (path === "issues/search") return search(items, request);
      const [owner, name, kind = "", number = "", rest = ""] = path.split("/");
      const issue = Number(number) > PULL ? Number(number) - PULL : Number(number);
      const found = byName.get(`${owner}/${name}#${issue}`);
      if (kind === "assignees") return Response.json([alice, boss, reviewer]);
      if (kind === "pulls" && number === "") {
        const branch = url.searchParams.get("head") ?? "";
        const of = byName.get(`${owner}/${name}#${branch.split("/")[1]}`);
        return Response.json(of === undefined ? [] : [pullOf(of)]);
      }
      if (kind === "commits" || rest === "comments") return Response.json([]);
      if (found === undefined) return new Response(null, { status: 404 });
      if (rest === "timeline") {
        return Response.json(url.searchParams.get("page") === "1" ? timelineOf(found) : []);
      }
      if (rest === "reviews") return Response.json([reviewOf(found)]);
      return Response.json(kind === "pulls" ? pullOf(found) : issueOf(found));
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    items,
    takeRequests: () => {
      const taken = seen;
      seen = [];
      return taken;
    },
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

/** Writes every item as one that was read `minutes` ago and has a session, past the store's own ways: they are many. */
export function seedLocal(path: string, items: readonly ManyItem[], readAt: number): void {
  const database = new Database(path, { strict: true });
  const run = (text: string) => {
    const statement = database.prepare(text);
    return (...values: (string | number)[]) => statement.run(...values);
  };
  const item = run("insert into item (repo, number, pull, mark, settled) values (?, ?, ?, 1, 1)");
  const snapshot = run("insert into snapshot (repo, number, snapshot_json) values (?, ?, ?)");
  const pull = run("insert into pull (repo, pull, number) values (?, ?, ?)");
  const session = run(
    `insert into session (key, agent, repo, number, session_id, created_at, updated_at, resumes, tainted, usd_total)
     values (?, 'boss', ?, ?, ?, 0, 0, 0, 0, 0)`,
  );
  database.transaction(() => {
    for (const one of items) {
      const { repo, number } = one.item;
      item(repo, number, number + PULL);
      snapshot(repo, number, JSON.stringify(snapshotOf(one, readAt)));
      pull(repo, number + PULL, number);
      session(`boss:${repo}#${number}`, repo, number, crypto.randomUUID());
    }
  })();
  database.close();
}

/** Pull requests have the numbers of their issues plus this. */
const PULL = 1000;

function snapshotOf({ item, updatedAt }: ManyItem, readAt: number): Snapshot {
  return snapshotWith({
    item,
    updatedAt,
    readAt,
    acts: [],
    pull: pullWith({
      number: item.number + PULL,
      headBranch: `boss/${item.number}`,
      updatedAt,
      requestedReviewers: [reviewer],
    }),
  });
}

/** Everything is assigned to boss, and that is all that concerns an agent. */
function search(items: readonly ManyItem[], request: Request): Response {
  const query = new URL(request.url).searchParams;
  const isBoss = request.headers.get("authorization") === "token boss";
  const since = Date.parse(query.get("since") ?? "1970-01-01T00:00:00Z");
  const owner = query.get("owner");
  const found = items
    .filter(({ updatedAt }) => updatedAt >= since)
    .filter(({ state }) => query.get("state") === "all" || state === query.get("state"))
    .filter(({ item }) => owner === null || item.repo.startsWith(`${owner}/`))
    .filter(({ assigned }) => assigned || !query.has("assigned"))
    .filter(() => isBoss || !query.has("assigned"))
    .filter(() => !["created", "mentioned", "review_requested"].some((flag) => query.has(flag)));
  const limit = Number(query.get("limit"));
  const start = (Number(query.get("page")) - 1) * limit;
  return Response.json(found.slice(start, start + limit).map(issueOf), {
    headers: { "X-Total-Count": `${found.length}` },
  });
}

const time = (at: number): string => new Date(at).toISOString();

function issueOf(one: ManyItem) {
  return {
    number: one.item.number,
    title: "An issue",
    body: "",
    user: alice,
    state: one.state,
    assignees: one.assigned ? [boss] : [],
    labels: [],
    created_at: time(one.updatedAt - HOUR_MS),
    updated_at: time(one.updatedAt),
    pull_request: null,
    repository: { full_name: one.item.repo },
  };
}

function pullOf(one: ManyItem) {
  const { number } = one.item;
  return {
    ...issueOf(one),
    number: number + PULL,
    state: "open",
    user: boss,
    merged: false,
    draft: false,
    head: { label: `boss/${number}`, ref: `boss/${number}`, sha: HEAD, repo_id: 1 },
    base: { label: "main", ref: "main", sha: "c".repeat(40), repo_id: 1 },
    requested_reviewers: [reviewer],
  };
}

function reviewOf(one: ManyItem) {
  return {
    id: 1,
    user: reviewer,
    state: "APPROVED",
    body: "",
    commit_id: HEAD,
    ...{ stale: false, official: true, dismissed: one.dismissed, comments_count: 0 },
    submitted_at: time(one.updatedAt),
  };
}

function timelineOf(one: ManyItem) {
  const act = { user: alice, body: "", assignee: boss, created_at: time(one.updatedAt) };
  return [{ ...act, id: 1, type: "assignees", removed_assignee: false }];
}
