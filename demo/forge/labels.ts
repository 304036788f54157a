import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeEnv,
  issueOf,
  notFound,
  page,
  Refusal,
  readBody,
  repoOf,
  room,
  signedIn,
} from "./answers.ts";
import { emitIssue } from "./events.ts";
import { addRow, type Forge } from "./forge.ts";
import { labelPayload } from "./payloads.ts";
import { type Account, type Issue, type Label, LIMITS, nextId, type Repo } from "./state.ts";

const NewLabel = z.object({
  name: z.string().min(1),
  color: z.string().regex(/^#?[0-9a-fA-F]{6}$/),
  description: z.string().default(""),
  exclusive: z.boolean().default(false),
});
const IssueLabels = z.object({ labels: z.array(z.union([z.number(), z.string()])).default([]) });

/** @returns the routes of labels, of the repository and of an issue. */
export function labelRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.get("/repos/:owner/:repo/labels", (c) => {
    const repo = repoOf(forge, c);
    return c.json(page(forge, c, repo.labels).map((one) => labelPayload(forge, repo, one)));
  });
  app.post("/repos/:owner/:repo/labels", async (c) => {
    const repo = repoOf(forge, c, "write");
    room(repo.labels.length, LIMITS.labels, "labels");
    const { color, ...body } = await readBody(c, NewLabel);
    const label: Label = { id: nextId(forge.state), color: color.replace("#", ""), ...body };
    repo.labels.push(label);
    return c.json(labelPayload(forge, repo, label), 201);
  });
  addIssueRoutes(forge, app);
  return app;
}

/** @returns the labels with these ids. @throws Refusal 404 for an unknown id. */
export function labelsById(repo: Repo, ids: number[]): Label[] {
  return ids.map((id) => {
    const label = repo.labels.find((one) => one.id === id);
    if (label === undefined) throw notFound(`label does not exist [label_id: ${id}]`);
    return label;
  });
}

/** Makes these the labels of an issue; the event is sent also when nothing changes. */
export function setLabels(
  forge: Forge,
  issue: Issue,
  { wanted, sender }: { wanted: Label[]; sender: Account },
): void {
  for (const label of issue.labels.filter((one) => !wanted.includes(one)))
    addRow(forge, issue, "label", { author: sender, label, body: "" });
  for (const label of wanted.filter((one) => !issue.labels.includes(one)))
    addRow(forge, issue, "label", { author: sender, label, body: "1" });
  const isCleared = wanted.length === 0;
  issue.labels = [...new Set(wanted)];
  emitIssue(forge, issue, { action: isCleared ? "label_cleared" : "label_updated", sender });
}

function addIssueRoutes(forge: Forge, app: Hono<ForgeEnv>): void {
  const base = "/repos/:owner/:repo/issues/:index{[0-9]+}/labels";
  app.get(base, (c) => {
    const repo = repoOf(forge, c);
    return c.json(issueOf(repo, c).labels.map((one) => labelPayload(forge, repo, one)));
  });
  app.post(base, async (c) => {
    const repo = repoOf(forge, c, "write");
    const issue = issueOf(repo, c);
    const named = labelsNamed(repo, (await readBody(c, IssueLabels)).labels);
    setLabels(forge, issue, { wanted: [...issue.labels, ...named], sender: signedIn(c) });
    return c.json(issue.labels.map((one) => labelPayload(forge, repo, one)));
  });
  app.put(base, async (c) => {
    const repo = repoOf(forge, c, "write");
    const issue = issueOf(repo, c);
    const wanted = labelsNamed(repo, (await readBody(c, IssueLabels)).labels);
    setLabels(forge, issue, { wanted, sender: signedIn(c) });
    return c.json(issue.labels.map((one) => labelPayload(forge, repo, one)));
  });
  app.delete(`${base}/:label{.+}`, (c) => {
    const repo = repoOf(forge, c, "write");
    const issue = issueOf(repo, c);
    const wanted = c.req.param("label");
    const label = repo.labels.find((one) => String(one.id) === wanted || one.name === wanted);
    if (label === undefined) throw new Refusal(422, `label does not exist [name: ${wanted}]`);
    const sender = signedIn(c);
    if (issue.labels.includes(label)) {
      issue.labels = issue.labels.filter((one) => one !== label);
      addRow(forge, issue, "label", { author: sender, label, body: "" });
      emitIssue(forge, issue, { action: "label_updated", sender });
    }
    return c.body(null, 204);
  });
}

/** Unknown names are dropped silently; numbers and names may not be mixed. */
function labelsNamed(repo: Repo, wanted: (number | string)[]): Label[] {
  const kinds = new Set(wanted.map((one) => typeof one));
  if (kinds.size > 1) throw new Refusal(400, "labels should be an array of strings or integers");
  return wanted.flatMap((one) => {
    const label = repo.labels.find((known) => known.id === one || known.name === one);
    return label === undefined ? [] : [label];
  });
}
