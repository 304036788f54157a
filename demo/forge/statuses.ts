import { Hono } from "hono";
import { z } from "zod";
import {
  type ForgeContext,
  type ForgeEnv,
  notFound,
  page,
  Refusal,
  readBody,
  repoOf,
  room,
  signedIn,
} from "./answers.ts";
import type { Forge } from "./forge.ts";
import { newestStatuses } from "./mergeable.ts";
import { type Payload, repoPayload, time, userPayload } from "./payloads.ts";
import { headOf } from "./pull-payload.ts";
import {
  fullName,
  LIMITS,
  nextId,
  pullsOf,
  type Repo,
  type Status,
  type StatusState,
} from "./state.ts";

const STATES = ["pending", "success", "error", "failure", "warning", "skipped"] as const;
const NewStatus = z.object({
  state: z.enum(STATES),
  context: z.string().default("default"),
  description: z.string().default(""),
  target_url: z.string().default(""),
});
/** The worst first. */
const BY_BADNESS: StatusState[] = ["error", "failure", "warning", "pending", "success", "skipped"];

/** @returns the routes of commit statuses. */
export function statusRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.post("/repos/:owner/:repo/statuses/:sha", (c) => createStatus(forge, c));
  app.get("/repos/:owner/:repo/statuses/:ref{.+}", (c) => listStatuses(forge, c));
  app.get("/repos/:owner/:repo/commits/:ref{.+}/statuses", (c) => listStatuses(forge, c));
  app.get("/repos/:owner/:repo/commits/:ref{.+}/status", async (c) => {
    const repo = repoOf(forge, c);
    const sha = await resolveRef(forge, repo, c);
    const newest = page(forge, c, newestStatuses(repo.statuses, sha));
    return c.json(combined(forge, repo, { sha, newest }));
  });
  return app;
}

async function createStatus(forge: Forge, c: ForgeContext): Promise<Response> {
  const repo = repoOf(forge, c, "write");
  const creator = signedIn(c);
  const sha = c.req.param("sha") ?? "";
  const form = await readBody(c, NewStatus);
  room(repo.statuses.length, LIMITS.statuses, "statuses");
  const exists = /^[0-9a-f]{40}$/.test(sha)
    ? (await forge.git.run(repo.path, ["cat-file", "-e", `${sha}^{commit}`])).exitCode === 0
    : false;
  if (!exists) throw new Refusal(500, "");
  const status: Status = {
    id: nextId(forge.state),
    sha,
    state: form.state,
    context: form.context,
    description: form.description,
    targetUrl: form.target_url,
    creator,
    createdAt: forge.now(),
  };
  repo.statuses.push(status);
  for (const issue of pullsOf(repo))
    if (headOf(issue).sha === sha && !issue.isClosed)
      forge.later(forge.timing.pushMs, () => forge.afterCheck(issue));
  return c.json(statusPayload(forge, repo, status), 201);
}

async function listStatuses(forge: Forge, c: ForgeContext): Promise<Response> {
  const repo = repoOf(forge, c);
  const sha = await resolveRef(forge, repo, c);
  const state = c.req.query("state");
  const found = repo.statuses
    .filter((one) => one.sha === sha && (state === undefined || one.state === state))
    .toReversed();
  return c.json(page(forge, c, found).map((one) => statusPayload(forge, repo, one)));
}

/** A branch, a tag or a sha. @throws Refusal 404. */
async function resolveRef(forge: Forge, repo: Repo, c: ForgeContext): Promise<string> {
  const ref = c.req.param("ref") ?? "";
  const known = repo.refs.get(`refs/heads/${ref}`) ?? repo.refs.get(`refs/tags/${ref}`);
  if (known !== undefined) return known;
  if (/^[0-9a-f]{7,40}$/.test(ref)) {
    const result = await forge.git.run(repo.path, ["rev-parse", "--verify", `${ref}^{commit}`]);
    if (result.exitCode === 0) return result.stdout.trim();
  }
  throw notFound(`object does not exist [id: ${ref}]`);
}

/** The newest status per context, of the page asked for only. */
function combined(
  forge: Forge,
  repo: Repo,
  { sha, newest }: { sha: string; newest: Status[] },
): Payload {
  if (newest.length === 0)
    return {
      state: "",
      sha: "",
      total_count: 0,
      statuses: null,
      repository: null,
      commit_url: "",
      url: "",
    };
  const api = `${forge.url()}/api/v1/repos/${fullName(repo)}/commits/${sha}`;
  return {
    state: BY_BADNESS.find((state) => newest.some((one) => one.state === state)) ?? "",
    sha,
    total_count: newest.length,
    statuses: newest.map((one) => statusPayload(forge, repo, one)),
    repository: repoPayload(forge, repo),
    commit_url: api,
    url: `${api}/status`,
  };
}

function statusPayload(forge: Forge, repo: Repo, status: Status): Payload {
  return {
    id: status.id,
    status: status.state,
    target_url: status.targetUrl,
    description: status.description,
    url: `${forge.url()}/api/v1/repos/${fullName(repo)}/statuses/${status.sha}`,
    context: status.context,
    creator: userPayload(forge, status.creator),
    created_at: time(status.createdAt),
    updated_at: time(status.createdAt),
  };
}
