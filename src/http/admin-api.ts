import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ItemRef } from "../domain/snapshot.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import type { Page } from "../ports/store/page.ts";
import type { SessionRow } from "../ports/store/sessions.ts";
import type { PauseScope } from "../ports/store/work.ts";
import type { AdminOptions } from "./admin-options.ts";
import { addControls } from "./control-api.ts";
import { heldRow } from "./held-row.ts";
import { createTextReader, readJsonBody } from "./json-body.ts";
import { type ListQuery, readListQuery } from "./list-query.ts";
import { readStatus } from "./read-status.ts";
import { agentName, itemNumber, readRef, repoName, resolve } from "./references.ts";
import { pageOfSessions } from "./session-page.ts";
import { addSessionReads, sessionsOut } from "./sessions-api.ts";
import { deliveryOut, itemOut, runOut, spentOut, toWire } from "./wire.ts";

/** How many days of spending are told. */
const SPENDING_DAYS = 31;

const resetBody = z.strictObject({ agent: agentName, repo: repoName, issue: itemNumber });
const pauseBody = z.union(
  [
    z.strictObject({}).transform((): PauseScope => ({ kind: "all" })),
    z.strictObject({ repo: repoName }).transform((body): PauseScope => ({ kind: "repo", ...body })),
    z
      .strictObject({ agent: agentName })
      .transform((body): PauseScope => ({ kind: "agent", ...body })),
  ],
  { error: 'must be {}, {"repo": "owner/name"} or {"agent": "<key>"}' },
);

/**
 * The routes of the admin API behind the login: everything under `/api/v1` and `POST /reset`.
 * Answers are JSON, moments ISO 8601 in UTC, errors `{"error"}` with 400, 404 or 409.
 */
export function createAdminApi(options: AdminOptions): Hono {
  const api = new Hono();
  addReads(api, options);
  addChanges(api, options);
  addControls(api, options);
  return api;
}

function addReads(api: Hono, options: AdminOptions): void {
  const { store } = options;
  api.get("/api/v1/status", async (context) => context.json(await readStatus(options)));
  api.get("/api/v1/deliveries", (context) =>
    list(context, "deliveries", async (query) =>
      mapPage(await store.deliveries.list(query.limit, query.before), deliveryOut),
    ),
  );
  api.get("/api/v1/items", (context) =>
    list(context, "items", async (query) =>
      mapPage(await store.work.items(query.limit, query.before), (row) =>
        itemOut(heldRow(row, options.gates)),
      ),
    ),
  );
  api.get("/api/v1/items/:owner/:repo/:number", async (context) => {
    const given = readRef(context.req.param());
    if (given === null) {
      return context.json({ error: "path: must be items/<owner>/<repo>/<number>" }, 400);
    }
    const item = await readItem(await resolve(given, options), options);
    return item === null ? context.json({ error: "item not known" }, 404) : context.json(item);
  });
  api.get("/api/v1/runs", (context) =>
    list(context, "runs", async (query) =>
      mapPage(await store.runs.list(query.limit, query.before), runOut),
    ),
  );
  api.get("/api/v1/runs/:id", async (context) => {
    const run = await store.runs.get(context.req.param("id"));
    return run === null
      ? context.json({ error: "run not known" }, 404)
      : context.json({ ...runOut(run), prompt_bytes: run.promptBytes });
  });
  api.get("/api/v1/sessions", (context) =>
    list(context, "sessions", async (query) =>
      sessionsPage(pageOfSessions(await store.sessions.all(), query), options),
    ),
  );
  addSessionReads(api, options);
  api.get("/api/v1/spending", async (context) => {
    const { all, agents, repositories, days } = await store.runs.spent(SPENDING_DAYS);
    return context.json({
      all: spentOut(all),
      agents: agents.map(({ agent, ...spent }) => ({ agent, ...spentOut(spent) })),
      repositories: repositories.map(({ repo, ...spent }) => ({ repo, ...spentOut(spent) })),
      days: days.map(({ day, ...spent }) => ({ day, ...spentOut(spent) })),
    });
  });
}

async function sessionsPage(page: Page<SessionRow>, options: AdminOptions): Promise<Page<unknown>> {
  return { rows: await sessionsOut(page.rows, options), next: page.next };
}

function addChanges(api: Hono, options: AdminOptions): void {
  const read = createTextReader();
  api.post("/reset", async (context) => {
    const body = await readJsonBody(context.req.raw, resetBody, read);
    if (!body.ok) {
      return context.json({ error: body.error }, 400);
    }
    const { agent, repo, issue } = body.value;
    const item = await resolve({ repo, number: issue }, options);
    const session = await options.sessions.reset(agent, item.repo, item.number);
    return session === "running"
      ? context.json({ error: "a run of this session is alive; cancel it first" }, 409)
      : context.json({ session });
  });
  api.post("/api/v1/items/:owner/:repo/:number/reset", async (context) => {
    const given = readRef(context.req.param());
    if (given === null) {
      return context.json({ error: "path: must be items/<owner>/<repo>/<number>/reset" }, 400);
    }
    const body = await readJsonBody(context.req.raw, z.strictObject({}), read);
    if (!body.ok) {
      return context.json({ error: body.error }, 400);
    }
    const item = await resolve(given, options);
    const sessions = await options.sessions.resetItem(item);
    if (sessions === "running") {
      return context.json({ error: "a run of this work item is alive; cancel it first" }, 409);
    }
    // A session can be older than anything else that is known of its item.
    return sessions === 0 && (await options.store.work.item(item)) === null
      ? context.json({ error: "item not known" }, 404)
      : context.json({ sessions });
  });
  for (const verb of ["pause", "resume"] as const) {
    api.post(`/api/v1/${verb}`, async (context) => {
      const body = await readJsonBody(context.req.raw, pauseBody, read);
      if (!body.ok) {
        return context.json({ error: body.error }, 400);
      }
      const unknown = verb === "pause" ? unknownIn(body.value, options) : null;
      if (unknown !== null) return context.json({ error: unknown }, 404);
      await options.control[verb](body.value);
      if (verb === "pause" && body.value.kind === "all" && options.status().pausedByFile) {
        // The file is enough: whatever holds the database must not hold this answer.
        return context.json({ paused: true, pauses: [body.value] });
      }
      const { paused, pauses } = await readStatus(options);
      return context.json({ paused, pauses });
    });
  }
}

/** A name nobody has would be taken for a stop that holds. What was paused once can be resumed under any name. */
function unknownIn(scope: PauseScope, { isConfigured }: AdminOptions): string | null {
  if (isConfigured?.(scope) !== false) return null;
  switch (scope.kind) {
    case "all":
      return null;
    case "repo":
      return `the configuration has no repository ${scope.repo}`;
    case "agent":
      return `the configuration has no agent ${scope.agent}`;
  }
}

async function list(
  context: Context,
  name: string,
  read: (query: ListQuery) => Promise<Page<unknown>>,
): Promise<Response> {
  const query = readListQuery(context.req.query());
  if (typeof query === "string") {
    return context.json({ error: query }, 400);
  }
  try {
    const page = await read(query);
    return context.json({ [name]: page.rows, next: page.next });
  } catch (error) {
    if (error instanceof StoreFailure && error.kind === "cursor") {
      return context.json({ error: "before: must be the `next` of a page" }, 400);
    }
    throw error;
  }
}

function mapPage<T>(page: Page<T>, out: (row: T) => unknown): Page<unknown> {
  return { rows: page.rows.map((row) => out(row)), next: page.next };
}

async function readItem(ref: ItemRef, options: AdminOptions) {
  const { store } = options;
  const row = await store.work.item(ref);
  if (row === null) {
    return null;
  }
  const [snapshot, ledger, sessions] = await Promise.all([
    store.work.snapshot(ref),
    store.ledger.read(ref),
    store.sessions.all(),
  ]);
  return {
    ...itemOut(heldRow(row, options.gates)),
    tokens: ledger.runs.reduce((sum, { tokens }) => sum + tokens, 0),
    snapshot: toWire(snapshot),
    sessions: await sessionsOut(
      sessions.filter((session) => session.repo === ref.repo && session.number === ref.number),
      options,
    ),
    runs: ledger.runs.map((run) => runOut({ ...run, ...ref })),
    effects: ledger.effects.map(toWire),
    parks: ledger.parks.map(toWire),
  };
}
