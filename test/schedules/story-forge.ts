import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startForge } from "../../demo/forge/start-forge.ts";
import { commit, sh } from "../git/workbench.ts";

export const SECRET = "schedule-secret";
export const AGENTS = ["boss", "reviewer", "code-lead"] as const;
type Login = "alice" | (typeof AGENTS)[number];

/** A webhook as the forge sent it; whether and when it arrives is the schedule's business. */
export interface Sent {
  readonly headers: Headers;
  readonly body: string;
}

/** One embedded forge for many stories, each in a repository of its own; its clock is set by the tests. */
export interface StoryForge extends AsyncDisposable {
  readonly url: string;
  readonly dir: string;
  readonly clock: { offset: number };
  readonly now: () => number;
  readonly tokens: ReadonlyMap<string, string>;
  /** The commits of the story, in order: the base, the first try, the one that is approved. */
  readonly shas: { readonly base: string; readonly first: string; readonly second: string };
  /** The webhooks of a repository that nobody has taken yet, oldest first. */
  sent(repo: string): Sent[];
  /** Waits until the forge has nothing left to do or to send. */
  idle(): Promise<void>;
  api(as: Login, method: string, path: string, body?: unknown): Promise<unknown>;
  push(as: Login, repo: string, sha: string, branch: string): Promise<void>;
  /** A new repository with its hook and the issue, assigned to boss; resolves with its name. */
  story(): Promise<string>;
}

export async function storyForge(): Promise<StoryForge> {
  // In memory where there is such a place: that a commit is synced is tested elsewhere.
  const dir = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "ch-schedules-"));
  const clock = { offset: 0 };
  const now = () => Date.now() + clock.offset;
  const forge = await startForge({ dir: join(dir, "forge"), pushMs: 0, mergeCheckMs: 0, now });
  const tokens = new Map(
    ["alice", ...AGENTS].map((login) => [login, forge.createUser(login).token] as const),
  );
  const waiting = new Map<string, Sent[]>();
  const sent = (repo: string): Sent[] => {
    const list = waiting.get(repo) ?? [];
    waiting.set(repo, list);
    return list;
  };
  const collector = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const body = await request.text();
      sent(new URL(request.url).pathname.slice(1)).push({ headers: request.headers, body });
      return new Response(null, { status: 202 });
    },
  });
  const api: StoryForge["api"] = async (as, method, path, body) => {
    const answer = await fetch(`${forge.url}/api/v1${path}`, {
      method,
      headers: { Authorization: `token ${tokens.get(as)}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  };
  const work = join(dir, "work");
  const shas = await makeCommits(dir, work);
  const push: StoryForge["push"] = async (as, repo, sha, branch) => {
    const url = new URL(`${forge.url}/${repo}.git`);
    url.username = as;
    url.password = tokens.get(as) ?? "";
    await sh(work, ["push", "-q", url.href, `${sha}:refs/heads/${branch}`]);
    await forge.idle();
  };
  await api("alice", "POST", "/orgs", { username: "acme" });
  let stories = 0;
  return {
    ...{ url: forge.url, dir, clock, now, tokens, shas, sent, api, push },
    idle: async () => await forge.idle(),
    story: async () => {
      stories += 1;
      const name = `s${stories}`;
      const repo = `acme/${name}`;
      await api("alice", "POST", "/orgs/acme/repos", { name, default_branch: "main" });
      for (const login of AGENTS) {
        await api("alice", "PUT", `/repos/${repo}/collaborators/${login}`, { permission: "write" });
      }
      await push("alice", repo, shas.base, "main");
      await api("alice", "POST", `/repos/${repo}/hooks`, {
        type: "forgejo",
        active: true,
        config: {
          url: `http://127.0.0.1:${collector.port}/${repo}`,
          content_type: "json",
          secret: SECRET,
        },
        events:
          "issues issue_assign issue_comment pull_request pull_request_comment pull_request_review pull_request_review_request pull_request_sync push create delete".split(
            " ",
          ),
      });
      const issue = { title: "A number is wrong", body: "It should be 3.", assignees: ["boss"] };
      await api("alice", "POST", `/repos/${repo}/issues`, issue);
      await forge.idle();
      return repo;
    },
    [Symbol.asyncDispose]: async () => {
      await forge.stop();
      await collector.stop(true);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function makeCommits(dir: string, work: string): Promise<StoryForge["shas"]> {
  await sh(dir, ["init", "-q", "-b", "main", work]);
  await writeFile(join(work, "README.md"), "numbers\n");
  return {
    base: await commit(work, { number: "1\n" }, "One"),
    first: await commit(work, { number: "2\n" }, "Two"),
    second: await commit(work, { number: "3\n" }, "Three"),
  };
}
