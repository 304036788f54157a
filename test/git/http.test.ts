import { expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { execa } from "execa";
import { startForge } from "../../demo/forge/start-forge.ts";
import { createGit } from "../../src/git/create-git.ts";
import type { Git } from "../../src/ports/git.ts";
import { commit, IDENTITY, ITEM, recordingLog, sh } from "./workbench.ts";

interface Site extends AsyncDisposable {
  readonly root: string;
  readonly url: string;
  readonly tokens: { boss: string; reader: string };
  readonly git: (options?: { searchPath?: string; url?: string }) => Git;
}

async function site(): Promise<Site> {
  const root = await mkdtemp(join(tmpdir(), "claude-hooks-git-http-"));
  const forge = await startForge({ dir: join(root, "forge") });
  const api = async (method: string, path: string, body: unknown): Promise<void> => {
    const headers = {
      Authorization: `token ${forge.adminToken}`,
      "Content-Type": "application/json",
    };
    const init = { method, headers, body: JSON.stringify(body) };
    const answer = await fetch(`${forge.url}/api/v1${path}`, init);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  };
  await api("POST", "/orgs", { username: "acme" });
  await api("POST", "/orgs/acme/repos", { name: "widgets", auto_init: true, private: true });
  const tokens = {
    boss: forge.createUser("boss").token,
    reader: forge.createUser("reader").token,
  };
  for (const [login, permission] of Object.entries({ boss: "write", reader: "read" }))
    await api("PUT", `/repos/acme/widgets/collaborators/${login}`, { permission });
  await mkdir(join(root, "state"));
  return {
    root,
    url: forge.url,
    tokens,
    git: (options = {}) =>
      createGit({
        stateDir: join(root, "state"),
        remoteUrl: (repo) => `${options.url ?? forge.url}/${repo}.git`,
        credential: (agent) => basic(agent === "boss" ? tokens.boss : tokens.reader),
        ...(options.searchPath === undefined ? {} : { searchPath: options.searchPath }),
        now: Date.now,
        log: recordingLog([]),
      }),
    [Symbol.asyncDispose]: async () => {
      await forge.stop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

const basic = (token: string): string =>
  `Authorization: Basic ${Buffer.from(`claude-hooks:${token}`).toString("base64")}`;
const order = { item: ITEM, agent: "boss", base: "main", branch: "boss/42" };

/** What the service's git was started with and left behind, searched for both tokens as they are and in Base64. */
async function searched(
  at: Site,
  plant: (clone: string, git: string) => Promise<void> = () => Promise.resolve(),
): Promise<{ readonly argv: string; readonly found: readonly string[] }> {
  const log = join(at.root, "argv.log");
  const bin = join(at.root, "bin");
  await mkdir(bin);
  const real = Bun.which("git") ?? "git";
  await writeFile(
    join(bin, "git"),
    `#!/bin/sh\nprintf '%s\\n' "$*" >> ${log}\nexec ${real} "$@"\n`,
  );
  await chmod(join(bin, "git"), 0o755);
  const searchPath = `${bin}:/usr/local/bin:/usr/bin:/bin`;
  const git = at.git({ searchPath });

  const made = await git.prepare({ ...order, at: null, identity: IDENTITY, run: "r1" });
  const head = await commit(made.path, { a: "1\n" }, "Work");
  await plant(made.path, join(bin, "git"));
  const answer = await git.push({ ...order, remoteSha: null, run: "r1" });

  expect(answer).toEqual({ kind: "pushed", sha: head });
  const argv = await readFile(log, "utf8");
  const secrets = Object.values(at.tokens).flatMap((token) => [token, basic(token).slice(-20)]);
  const has = (text: string) => secrets.some((secret) => text.includes(secret));
  const files = await smallFiles(join(at.root, "state"));
  return {
    argv,
    found: [
      ...(has(argv) ? ["an argument"] : []),
      ...files.filter(([, text]) => has(text)).map(([name]) => name),
    ],
  };
}

test("over HTTP the reader fetches, the agent pushes, and no token is in an argument or a file", async () => {
  await using at = await site();

  const { argv, found } = await searched(at);

  expect(argv).toContain("push");
  expect(found).toEqual([]);
});

test("control: the same search finds a token that a git was given in an argument, and one in a clone's configuration", async () => {
  await using at = await site();
  const header = basic(at.tokens.reader);

  const { found } = await searched(at, async (clone, git) => {
    await execa(git, ["-c", `http.extraHeader=${header}`, "ls-remote", at.url], { reject: false });
    await sh(clone, ["config", "http.extraHeader", header]);
  });

  expect(found).toEqual(["an argument", "work/acme/widgets/42/boss/.git/config"]);
});

test("a token that may not push is an answer or a failure, never a success", async () => {
  await using at = await site();
  const git = at.git();
  const reader = { ...order, agent: "reader", branch: "reader/42" };
  const made = await git.prepare({ ...reader, at: null, identity: IDENTITY, run: "r1" });
  await commit(made.path, { a: "1\n" }, "Work");

  const push = git.push({ ...reader, remoteSha: null, run: "r1" });

  await expect(push).rejects.toMatchObject({ kind: "auth" });
});

test("a missing repository, a wrong token and a forge that is away are told apart", async () => {
  await using at = await site();
  const missing = at.git().prepare({
    ...order,
    item: { repo: "acme/nothing", number: 1 },
    ...{ at: null, identity: IDENTITY, run: "r1" },
  });
  await expect(missing).rejects.toMatchObject({ kind: "not_found" });
  at.tokens.reader = "0".repeat(40);
  const wrong = at.git().prepare({ ...order, at: null, identity: IDENTITY, run: "r1" });
  await expect(wrong).rejects.toMatchObject({ kind: "auth" });
  const free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
  const url = `http://127.0.0.1:${free.port}`;
  await free.stop(true);
  const away = at.git({ url }).prepare({ ...order, at: null, identity: IDENTITY, run: "r1" });
  await expect(away).rejects.toMatchObject({ kind: "unavailable" });
});

/** A server that leads elsewhere, and what came there: the credential of each request. */
function redirecting(): { url: string; seen: (string | null)[] } & AsyncDisposable {
  const seen: (string | null)[] = [];
  const canary = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      seen.push(request.headers.get("authorization"));
      return new Response("", { status: 404 });
    },
  });
  const moved = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () =>
      Response.redirect(`http://127.0.0.1:${canary.port}/x/info/refs?service=git-upload-pack`),
  });
  return {
    url: `http://127.0.0.1:${moved.port}`,
    seen,
    async [Symbol.asyncDispose]() {
      await Promise.all([moved.stop(true), canary.stop(true)]);
    },
  };
}

test("a redirect is not followed, so that the credential stays with the forge", async () => {
  await using at = await site();
  await using away = redirecting();
  const git = at.git({ url: away.url });

  await expect(
    git.prepare({ ...order, at: null, identity: IDENTITY, run: "r1" }),
  ).rejects.toMatchObject({ name: "GitFailure" });

  expect(away.seen).toEqual([]);
});

// Measured with libcurl of Debian 12: to another port it takes no credential along by itself.
test("control: a git that follows redirects goes where they lead", async () => {
  await using at = await site();
  await using away = redirecting();
  const header = `http.extraHeader=${basic(at.tokens.reader)}`;

  await expect(
    sh(at.root, ["-c", header, "-c", "http.followRedirects=true", "ls-remote", away.url]),
  ).rejects.toThrow();

  expect(away.seen).not.toEqual([]);
});

test("the clone's own git cannot reach the forge", async () => {
  await using at = await site();
  const git = at.git();
  const made = await git.prepare({ ...order, at: null, identity: IDENTITY, run: "r1" });

  await expect(sh(made.path, ["fetch", "origin"])).rejects.toThrow("does not appear");
});

/** Every file below the directory, by its path there, with its bytes as text. */
async function smallFiles(root: string): Promise<(readonly [string, string])[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return await Promise.all(
    files.map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [relative(root, path), await readFile(path, "latin1")] as const;
    }),
  );
}
