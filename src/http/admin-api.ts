import { type Context, Hono } from "hono";
import { z } from "zod";
import type { ItemRef } from "../domain/snapshot.ts";
import { type Page, type PauseScope, StoreFailure } from "../ports/store.ts";
import type { AdminOptions } from "./admin-options.ts";
import { createTextReader, readJsonBody } from "./json-body.ts";
import { type ListQuery, readListQuery } from "./list-query.ts";
import { readStatus } from "./read-status.ts";
import { pageOfSessions } from "./session-page.ts";
import { deliveryOut, itemOut, runOut, sessionOut, toWire } from "./wire.ts";

const NUMBER = "must be an integer from 1 to 2147483647";
const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: "must be an agent's key in the configuration" });
const repoName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,100}\/[A-Za-z0-9._-]{1,100}$/, { error: "must be owner/name" })
  .transform((name) => name.toLowerCase());
const itemNumber = z
  .int({ error: NUMBER })
  .min(1, { error: NUMBER })
  .max(2 ** 31 - 1, { error: NUMBER });

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
      mapPage(await store.work.items(query.limit, query.before), itemOut),
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
      mapPage(pageOfSessions(await store.sessions.all(), query), sessionOut),
    ),
  );
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
  for (const verb of ["pause", "resume"] as const) {
    api.post(`/api/v1/${verb}`, async (context) => {
      const body = await readJsonBody(context.req.raw, pauseBody, read);
      if (!body.ok) {
        return context.json({ error: body.error }, 400);
      }
      await options.control[verb](body.value);
      const { paused, pauses } = await readStatus(options);
      return context.json({ paused, pauses });
    });
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

function readRef(param: { owner: string; repo: string; number: string }): ItemRef | null {
  const repo = repoName.safeParse(`${param.owner}/${param.repo}`);
  const number = itemNumber.safeParse(Number(param.number));
  const isPlain = /^\d{1,10}$/.test(param.number);
  return repo.success && number.success && isPlain
    ? { repo: repo.data, number: number.data }
    : null;
}

/** The number of a pull request stands for the work item it belongs to. */
async function resolve(given: ItemRef, options: AdminOptions): Promise<ItemRef> {
  const number = await options.store.pulls.itemOf(given.repo, given.number);
  return { repo: given.repo, number: number ?? given.number };
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
    ...itemOut(row),
    snapshot: toWire(snapshot),
    sessions: sessions
      .filter((session) => session.repo === ref.repo && session.number === ref.number)
      .map(sessionOut),
    runs: ledger.runs.map((run) => runOut({ ...run, ...ref })),
    effects: ledger.effects.map(toWire),
    parks: ledger.parks.map(toWire),
  };
}
