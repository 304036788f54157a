import { Hono } from "hono";
import { type ForgeContext, type ForgeEnv, notFound, repoOf } from "./answers.ts";
import type { Forge } from "./forge.ts";
import type { Payload } from "./payloads.ts";
import { fullName, type Repo } from "./state.ts";

/** @returns the routes that read files, raw and as JSON. */
export function contentRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo";
  app.get(`${base}/contents`, (c) => answerContents(forge, c, ""));
  app.get(`${base}/contents/:path{.+}`, (c) => answerContents(forge, c, c.req.param("path")));
  app.get(`${base}/raw/:path{.+}`, async (c) => {
    const repo = repoOf(forge, c);
    const spec = `${await commitOf(forge, c, repo)}:${c.req.param("path")}`;
    const result = await forge.git.run(repo.path, ["cat-file", "blob", spec]);
    if (result.exitCode !== 0) throw notFound();
    return c.text(result.stdout);
  });
  return app;
}

async function answerContents(forge: Forge, c: ForgeContext, path: string): Promise<Response> {
  const repo = repoOf(forge, c);
  const commit = await commitOf(forge, c, repo);
  const clean = path.replace(/\/+$/, "");
  if (clean === "") return c.json(await listTree(forge, repo, { commit, path: clean }));
  const entry = await forge.git.read(repo.path, ["ls-tree", commit, "--", clean]);
  if (entry === "") throw notFound(`object does not exist [id: , rel_path: ${clean}]`);
  if (/^\d+ tree /.test(entry)) return c.json(await listTree(forge, repo, { commit, path: clean }));
  const [payload] = await entriesOf(forge, repo, { commit, text: entry });
  const sha = String(payload?.["sha"] ?? "");
  const blob = await readBlob(repo, sha);
  return c.json({ ...payload, encoding: "base64", content: blob });
}

async function readBlob(repo: Repo, sha: string): Promise<string> {
  const child = Bun.spawn(["git", "cat-file", "blob", sha], { cwd: repo.path, stdout: "pipe" });
  const bytes = await new Response(child.stdout).arrayBuffer();
  if ((await child.exited) !== 0) throw notFound();
  return Buffer.from(bytes).toString("base64");
}

async function listTree(
  forge: Forge,
  repo: Repo,
  { commit, path }: { commit: string; path: string },
): Promise<Payload[]> {
  const args = ["ls-tree", "-l", commit, "--", ...(path === "" ? [] : [`${path}/`])];
  return entriesOf(forge, repo, { commit, text: await forge.git.read(repo.path, args) });
}

async function entriesOf(
  forge: Forge,
  repo: Repo,
  { commit, text }: { commit: string; text: string },
): Promise<Payload[]> {
  const api = `${forge.url()}/api/v1/repos/${fullName(repo)}`;
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => {
    const [info = "", path = ""] = line.split("\t");
    const [, type, sha, size] = info.split(/\s+/);
    return {
      name: path.slice(path.lastIndexOf("/") + 1),
      path,
      sha,
      last_commit_sha: commit,
      type: type === "tree" ? "dir" : "file",
      size: Number(size) || 0,
      encoding: null,
      content: null,
      target: null,
      url: `${api}/contents/${path}?ref=${commit}`,
      html_url: `${forge.url()}/${fullName(repo)}/src/commit/${commit}/${path}`,
      git_url: `${api}/git/${type}s/${sha}`,
      download_url: `${forge.url()}/${fullName(repo)}/raw/commit/${commit}/${path}`,
      submodule_git_url: null,
      _links: null,
    };
  });
}

async function commitOf(forge: Forge, c: ForgeContext, repo: Repo): Promise<string> {
  const ref = c.req.query("ref") || repo.defaultBranch;
  const known = repo.refs.get(`refs/heads/${ref}`) ?? repo.refs.get(`refs/tags/${ref}`);
  if (known !== undefined) return known;
  const result = /^[0-9a-f]{7,40}$|^refs\//.test(ref)
    ? await forge.git.run(repo.path, ["rev-parse", "--verify", `${ref}^{commit}`])
    : undefined;
  if (result?.exitCode !== 0) throw notFound(`object does not exist [id: ${ref}]`);
  return result.stdout.trim();
}
