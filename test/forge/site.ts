import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EmbeddedForge, startForge } from "../../demo/forge/start-forge.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createForge, type ForgeClient } from "../../src/forge/create-forge.ts";
import { commit, recordingLog, sh } from "../git/workbench.ts";

export const REPO = "acme/widgets";
const PEOPLE = ["ada", "boss", "reviewer", "code-lead", "outsider"] as const;
type Person = (typeof PEOPLE)[number];

/** An embedded forge with acme/widgets, its people, and the client under test. */
export interface Site extends AsyncDisposable {
  readonly forge: EmbeddedForge;
  readonly client: ForgeClient;
  readonly ids: Readonly<Record<Person, number>>;
  readonly tokens: Readonly<Record<Person, string>>;
  /** A call of the REST API as a person; resolves with the JSON. */
  api(as: Person, method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
  /** Commits files on a branch (from main when it is new) and pushes it; resolves with the sha. */
  push(as: Person, branch: string, files: Readonly<Record<string, string>>): Promise<string>;
  /** Requests that reach the forge while `work` runs, as `METHOD /path?query`. */
  requests(work: () => Promise<unknown>): Promise<readonly string[]>;
  snapshot(number: number, previous?: Snapshot | null): Promise<Snapshot>;
}

export async function site(): Promise<Site> {
  const root = await mkdtemp(join(tmpdir(), "claude-hooks-forge-"));
  const forge = await startForge({ dir: root, pushMs: 0, mergeCheckMs: 0 });
  const made = PEOPLE.map((login) => [login, forge.createUser(login)] as const);
  const tokens = Object.fromEntries(made.map(([login, user]) => [login, user.token])) as Record<
    Person,
    string
  >;
  const ids = Object.fromEntries(made.map(([login, user]) => [login, user.id])) as Record<
    Person,
    number
  >;
  const call = async (token: string, method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${forge.url}/api/v1${path}`, {
      method,
      headers: { Authorization: `token ${token}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
  };
  await call(tokens.ada, "POST", "/orgs", { username: "acme" });
  await call(tokens.ada, "POST", "/orgs/acme/repos", { name: "widgets", auto_init: true });
  for (const login of ["boss", "reviewer", "code-lead"])
    await call(tokens.ada, "PUT", `/repos/${REPO}/collaborators/${login}`, { permission: "write" });

  const seen: string[] = [];
  const proxy = recordingProxy(forge.url, seen);
  const client = createForge({
    url: `http://127.0.0.1:${proxy.port}/`,
    kind: "forgejo",
    agents: ["boss", "reviewer", "code-lead"].map((name) => ({
      name,
      login: name,
      token: () => tokens[name as Person],
    })),
    readerAgent: "reviewer",
    now: Date.now,
    requestsPerSecond: 1000,
    log: recordingLog([]),
  });
  let clones = 0;
  return {
    forge,
    client,
    ids,
    tokens,
    api: (as, method, path, body) => call(tokens[as], method, path, body),
    push: async (as, branch, files) => {
      clones += 1;
      const clone = join(root, `clone-${clones}`);
      const url = new URL(`${forge.url}/${REPO}.git`);
      url.username = as;
      url.password = tokens[as];
      await sh(root, ["clone", "-q", url.href, clone]);
      const exists = await sh(clone, ["branch", "-r", "--list", `origin/${branch}`]);
      await sh(clone, [
        "checkout",
        "-q",
        "-B",
        branch,
        exists === "" ? "origin/main" : exists.trim(),
      ]);
      await writeFile(join(clone, ".keep"), `${clones}`);
      const sha = await commit(clone, files, `Change ${branch}`);
      await sh(clone, ["push", "-q", "origin", branch]);
      await forge.idle();
      return sha;
    },
    requests: async (work) => {
      seen.length = 0;
      await work();
      return [...seen];
    },
    snapshot: (number, previous = null) =>
      client.reader.snapshot({
        item: { repo: REPO, number },
        pulls: [],
        branches: [{ branch: `boss/${number}`, author: "boss" }],
        previous,
      }),
    [Symbol.asyncDispose]: async () => {
      await proxy.stop(true);
      await forge.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Hands every request on to the forge and notes it. */
function recordingProxy(target: string, seen: string[]): Bun.Server<undefined> {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => {
      const url = new URL(request.url);
      seen.push(`${request.method} ${url.pathname.replace("/api/v1", "")}${url.search}`);
      const body = await request.text();
      return await fetch(`${target}${url.pathname}${url.search}`, {
        method: request.method,
        headers: request.headers,
        redirect: "manual",
        ...(body === "" ? {} : { body }),
      });
    },
  });
}
