import type { Context, Hono } from "hono";
import { z } from "zod";
import type { RunView } from "../ports/store/runs.ts";
import type { AdminOptions } from "./admin-options.ts";
import { createTextReader, readJsonBody } from "./json-body.ts";
import { readRef, resolve } from "./references.ts";
import { itemOut, runOut } from "./wire.ts";

const noFields = z.strictObject({});

/**
 * Adds what operators say about single runs and items, and the drain. Each takes `{}`. Stopping calls
 * answer when what they stop has ended, or after 10 s; the answer says how it stands then.
 */
export function addControls(api: Hono, options: AdminOptions): void {
  addRunControls(api, options);
  addItemControls(api, options);
  const read = createTextReader();
  api.post("/api/v1/drain", async (context) => {
    const body = await readJsonBody(context.req.raw, noFields, read);
    if (!body.ok) return context.json({ error: body.error }, 400);
    const active = await options.control.drain();
    return context.json({ draining: true, active });
  });
}

function addRunControls(api: Hono, options: AdminOptions): void {
  const { control, store } = options;
  const read = createTextReader();
  const on = (
    verb: "cancel" | "retry",
    act: (context: Context, run: RunView) => Promise<Response>,
  ): void => {
    api.post(`/api/v1/runs/:id/${verb}`, async (context) => {
      const body = await readJsonBody(context.req.raw, noFields, read);
      if (!body.ok) return context.json({ error: body.error }, 400);
      const run = await store.runs.get(context.req.param("id"));
      return run === null ? context.json({ error: "run not known" }, 404) : await act(context, run);
    });
  };
  on("cancel", async (context, run) =>
    run.endedAt === null
      ? context.json(runOut(await control.cancel(run)))
      : context.json({ error: `the run has ended: ${run.outcome}` }, 409),
  );
  on("retry", async (context, run) => {
    const hindrance = hindranceOfRetry(run);
    if (hindrance !== null) return context.json({ error: hindrance }, 409);
    const { repo, number } = run;
    await control.goOn({ repo, number });
    const row = await store.work.item({ repo, number });
    return row === null
      ? context.json({ error: "item not known" }, 404)
      : context.json(itemOut(row));
  });
}

function hindranceOfRetry({ outcome }: RunView): string | null {
  switch (outcome) {
    case null:
      return "the run is alive; cancel it first";
    case "succeeded":
      return "the run has succeeded: there is nothing to try again";
    case "asked":
    case "declined":
      return `the run has ${outcome}: answer it by a comment on the forge`;
    case "failed":
    case "timed_out":
    case "stalled":
    case "cancelled":
    case "parked":
      return null;
  }
}

function addItemControls(api: Hono, options: AdminOptions): void {
  const { control, store } = options;
  const read = createTextReader();
  for (const [verb, act] of [
    ["park", control.park],
    ["continue", control.goOn],
  ] as const) {
    api.post(`/api/v1/items/:owner/:repo/:number/${verb}`, async (context) => {
      const given = readRef(context.req.param());
      if (given === null) {
        return context.json({ error: `path: must be items/<owner>/<repo>/<number>/${verb}` }, 400);
      }
      const body = await readJsonBody(context.req.raw, noFields, read);
      if (!body.ok) return context.json({ error: body.error }, 400);
      const item = await resolve(given, options);
      const row = (await act(item)) ? await store.work.item(item) : null;
      return row === null
        ? context.json({ error: "item not known" }, 404)
        : context.json(itemOut(row));
    });
  }
}
