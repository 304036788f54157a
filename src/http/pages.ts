import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { ItemRow } from "../ports/store/items.ts";
import type { RunView } from "../ports/store/runs.ts";
import type { ServiceStatus } from "./read-status.ts";
import { time } from "./wire.ts";

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; } .number { text-align: right; }
label, input, button { font: inherit; } input { width: 100%; max-width: 40rem; }
`;

/** The source expression that lets exactly our style through the content security policy. */
export function styleSource(): string {
  return `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;
}

/** The markup hono makes: a string, or a promise of one. */
type Markup = ReturnType<typeof html>;

/**
 * The dashboard: what each work item waits for and why, and the last runs. Plain HTML without
 * script; every value is escaped, and `bdi` keeps text of other people from turning its neighbours.
 */
export function dashboardPage(page: {
  readonly status: ServiceStatus;
  readonly items: readonly ItemRow[];
  readonly runs: readonly RunView[];
}): Markup {
  const { status } = page;
  return layout(
    "claude-hooks",
    html`<h1>claude-hooks ${status.version}${status.paused ? " (paused)" : ""}</h1>
      <p>
        Deliveries: ${status.deliveries.accepted} accepted, ${status.deliveries.duplicate} duplicate,
        ${status.deliveries.ignored} ignored, ${status.deliveries.refused} refused. Work:
        ${status.queue.waiting} waiting, ${status.queue.active} active. Runs: ${status.runs.started}
        started, ${status.runs.succeeded} succeeded, ${status.runs.failed} failed,
        ${status.runs.parked} parked, ${status.runs.active} active.
      </p>
      ${status.pauses.map((scope) => html`<p>Paused: <bdi>${pauseName(scope)}</bdi></p>`)}
      ${status.gates.map(
        (gate) =>
          html`<p>Gate <bdi>${gate.name}</bdi> closed: ${gate.reason}, attempt ${gate.attempt}, again at ${gate.retry_at}</p>`,
      )}
      <h2>Work items</h2>
      ${table(
        ["Item", "Pull request", "State", "Decision", "Reason", "Again at", "USD"],
        page.items.map((item) => [
          `${item.repo}#${item.number}`,
          item.pull === null ? "" : `#${item.pull}`,
          item.state,
          item.decision,
          item.reason,
          time(item.retryAt) ?? "",
          item.usd.toFixed(2),
        ]),
      )}
      <h2>Runs</h2>
      ${table(
        ["Started", "Agent", "Skill", "Item", "Attempt", "Session", "Outcome", "Reason", "USD"],
        page.runs.map((run) => [
          time(run.startedAt) ?? "",
          run.agent,
          run.skill,
          `${run.repo}#${run.number}`,
          String(run.attempt),
          run.resumed ? "resumed" : "new",
          run.outcome ?? "running",
          run.reason ?? "",
          run.usd.toFixed(2),
        ]),
      )}`,
  );
}

/** The login: one field for the admin token. */
export function loginPage(problem: string | null): Markup {
  return layout(
    "claude-hooks: login",
    html`<h1>claude-hooks</h1>
      ${problem === null ? "" : html`<p role="alert">${problem}</p>`}
      <form method="post" action="/login">
        <p>
          <label for="token">Admin token (the content of the file <code>admin.token</code>)</label>
          <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
        </p>
        <button>Log in</button>
      </form>`,
  );
}

function layout(title: string, body: Markup): Markup {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width">
        <title>${title}</title>
        ${raw(`<style>${STYLE}</style>`)}
      </head>
      <body>
        ${body}
      </body>
    </html>`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): Markup {
  if (rows.length === 0) {
    return html`<p>None yet.</p>`;
  }
  return html`<table>
    <thead>
      <tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr>
    </thead>
    <tbody>
      ${rows.map((cells) => html`<tr>${cells.map((cell) => html`<td><bdi>${cell}</bdi></td>`)}</tr>`)}
    </tbody>
  </table>`;
}

function pauseName(scope: ServiceStatus["pauses"][number]): string {
  switch (scope.kind) {
    case "all":
      return "everything";
    case "repo":
      return `repository ${scope.repo}`;
    case "agent":
      return `agent ${scope.agent}`;
  }
}
