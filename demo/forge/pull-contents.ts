import { Hono } from "hono";
import { type ForgeContext, type ForgeEnv, notFound, page, pullOf, repoOf } from "./answers.ts";
import type { Forge } from "./forge.ts";
import { type Payload, userPayload } from "./payloads.ts";
import { headOf, pullPayload } from "./pull-payload.ts";
import { fullName, type PullIssue, pullsOf, type Repo } from "./state.ts";

const STATUS: Record<string, string> = { A: "added", M: "changed", D: "deleted", R: "renamed" };

/** @returns the routes that show what is in a pull request: diff, files, commits. */
export function pullContentRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  const base = "/repos/:owner/:repo/pulls";
  app.get(`${base}/:file{[0-9]+\\.(diff|patch)}`, async (c) => {
    const [index = "", type = ""] = c.req.param("file").split(".");
    const issue = pullsOf(repoOf(forge, c)).find((one) => String(one.number) === index);
    if (issue === undefined) throw notFound();
    const range = [issue.pull.mergeBase, headOf(issue).sha];
    const args =
      type === "diff"
        ? ["diff", "--binary", ...range]
        : ["format-patch", "--stdout", range.join("..")];
    return c.text(`${await forge.git.read(issue.repo.path, args)}\n`);
  });
  app.get(`${base}/:index{[0-9]+}/files`, async (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    return c.json(page(forge, c, await readFiles(forge, issue)));
  });
  app.get(`${base}/:index{[0-9]+}/commits`, async (c) => {
    const issue = pullOf(repoOf(forge, c), c);
    const { sha } = headOf(issue);
    const commits = await readCommits(forge, issue.repo, [sha, `^${issue.pull.mergeBase}`]);
    return c.json(page(forge, c, commits));
  });
  app.get("/repos/:owner/:repo/commits/:sha/pull", (c) => answerPullOfCommit(forge, c));
  return app;
}

/** @returns commits as the API shows them, newest first; `range` as for git log. */
export async function readCommits(forge: Forge, repo: Repo, range: string[]): Promise<Payload[]> {
  const format = "--format=%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%T%x00%B%x01";
  const args = ["log", "--max-count=1000", format, ...range, "--"];
  const text = await forge.git.read(repo.path, args);
  return text
    .split("\x01")
    .map((record) => record.replace(/^\n/, ""))
    .filter((record) => record !== "")
    .map((record) => commitPayload(forge, repo, record.split("\0")));
}

function commitPayload(forge: Forge, repo: Repo, fields: string[]): Payload {
  const [sha = "", parents = "", authorName, authorEmail = "", authorDate] = fields;
  const [, , , , , committerName, committerEmail, committerDate, tree, message] = fields;
  const api = `${forge.url()}/api/v1/repos/${fullName(repo)}/git`;
  const account = forge.state.accounts.find((one) => one.email === authorEmail);
  const user = account === undefined ? null : userPayload(forge, account);
  return {
    url: `${api}/commits/${sha}`,
    sha,
    created: committerDate,
    html_url: `${forge.url()}/${fullName(repo)}/commit/${sha}`,
    commit: {
      url: `${api}/commits/${sha}`,
      author: { name: authorName, email: authorEmail, date: authorDate },
      committer: { name: committerName, email: committerEmail, date: committerDate },
      message,
      tree: { url: `${api}/trees/${tree}`, sha: tree, created: committerDate },
      verification: null,
    },
    author: user,
    committer: user,
    parents: parents
      .split(" ")
      .filter((parent) => parent !== "")
      .map((parent) => ({ url: `${api}/commits/${parent}`, sha: parent })),
    files: null,
    stats: null,
  };
}

async function readFiles(forge: Forge, issue: PullIssue): Promise<Payload[]> {
  const { repo, pull } = issue;
  const range = [pull.mergeBase, headOf(issue).sha];
  const names = await forge.git.read(repo.path, [
    "diff",
    "--no-renames",
    "--name-status",
    "-z",
    ...range,
  ]);
  const counts = await forge.git.read(repo.path, [
    "diff",
    "--no-renames",
    "--numstat",
    "-z",
    ...range,
  ]);
  const sizes = new Map(
    counts
      .split("\0")
      .filter((line) => line !== "")
      .map((line) => line.split("\t"))
      .map(([added, deleted, path]) => [path, { added: Number(added), deleted: Number(deleted) }]),
  );
  const fields = names.split("\0");
  const files: Payload[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const path = fields[at + 1] ?? "";
    const size = sizes.get(path) ?? { added: 0, deleted: 0 };
    files.push({
      filename: path,
      status: STATUS[fields[at] ?? ""] ?? "changed",
      additions: size.added || 0,
      deletions: size.deleted || 0,
      changes: (size.added || 0) + (size.deleted || 0),
      html_url: `${forge.url()}/${fullName(repo)}/src/commit/${range[1]}/${path}`,
      contents_url: `${forge.url()}/api/v1/repos/${fullName(repo)}/contents/${path}?ref=${range[1]}`,
      raw_url: `${forge.url()}/${fullName(repo)}/raw/commit/${range[1]}/${path}`,
    });
  }
  return files;
}

async function answerPullOfCommit(forge: Forge, c: ForgeContext): Promise<Response> {
  const repo = repoOf(forge, c);
  const sha = c.req.param("sha") ?? "";
  const found = pullsOf(repo).find(
    (one) => one.pull.merged?.sha === sha || headOf(one).sha === sha,
  );
  if (found === undefined) throw notFound();
  return c.json(pullPayload(forge, found, c.get("account")));
}
