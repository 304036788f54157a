import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import type { EmbeddedForge } from "../forge/start-forge.ts";

const OWNER = "acme";
const NAME = "widgets";
export const REPO = `${OWNER}/${NAME}`;
export const AGENTS = ["boss", "reviewer", "code-lead"] as const;

const FILES: Readonly<Record<string, string>> = {
  "README.md": "# widgets\n\nSmall parts of a shop.\n",
  "AGENTS.md":
    "# How to work here\n\n- Run the tests with `bun test`; all must pass before a commit.\n- Keep functions pure and without dependencies.\n",
  "package.json": `${JSON.stringify({ name: "widgets", private: true, type: "module" }, null, 2)}\n`,
  "src/slugify.ts": `/** Turns a title into the last part of a URL. */
export function slugify(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
`,
  "test/slugify.test.ts": `import { expect, test } from "bun:test";
import { slugify } from "../src/slugify.ts";

test("words are joined with hyphens", () => {
  expect(slugify("Hello, World!")).toBe("hello-world");
});

test("accented letters become plain ones", () => {
  expect(slugify("Crème Brûlée")).toBe("creme-brulee");
});
`,
};

export const ISSUE = {
  title: "slugify drops accented letters",
  body: '`slugify("Crème Brûlée")` gives `cr-me-br-l-e`; it should give `creme-brulee`.\n\nThe function is in `src/slugify.ts`, and the second test in `test/slugify.test.ts` fails because of it.',
};

/** Tokens of everybody in the story, by login. */
export type Tokens = Map<string, string>;

/** Creates people, agents, organisation and repository with a failing test, over HTTP and git alone. */
export async function setUpWidgets(
  forge: EmbeddedForge,
  dir: string,
): Promise<{ tokens: Tokens; api: Api }> {
  const tokens = new Map<string, string>();
  for (const login of ["alice", ...AGENTS]) tokens.set(login, forge.createUser(login).token);
  const api = createApi(forge.url, tokens);
  await api("alice", "POST", "/orgs", { username: OWNER });
  await api("alice", "POST", `/orgs/${OWNER}/repos`, { name: NAME, default_branch: "main" });
  for (const login of AGENTS) {
    await api("alice", "PUT", `/repos/${REPO}/collaborators/${login}`, { permission: "write" });
  }
  await pushFiles({ forgeUrl: forge.url, token: tokens.get("alice") ?? "", dir, files: FILES });
  return { tokens, api };
}

/** Lets the forge call the service: the hook a real set-up would create. */
export async function createHook(api: Api, webhook: string, secret: string): Promise<void> {
  await api("alice", "POST", `/repos/${REPO}/hooks`, {
    type: "forgejo",
    active: true,
    config: { url: webhook, content_type: "json", secret },
    events: [
      "issues",
      "issue_assign",
      "issue_label",
      "issue_comment",
      "pull_request",
      "pull_request_comment",
      "pull_request_review",
      "pull_request_review_request",
      "pull_request_sync",
      "push",
      "create",
      "delete",
    ],
  });
}

/** Calls the forge's REST API as somebody; resolves with the parsed answer, throws on anything but 2xx. */
export type Api = (
  login: string,
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
) => Promise<unknown>;

function createApi(url: string, tokens: Tokens): Api {
  return async (login, method, path, body) => {
    const response = await fetch(`${url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `token ${tokens.get(login) ?? ""}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} as ${login}: ${response.status} ${text}`);
    return text === "" ? null : (JSON.parse(text) as unknown);
  };
}

/** Commits files on the base branch as alice and pushes them, from a clone kept in `dir`. */
export async function pushFiles(commit: {
  readonly forgeUrl: string;
  readonly token: string;
  readonly dir: string;
  /** Content by path. */
  readonly files: Readonly<Record<string, string>>;
}): Promise<void> {
  const { forgeUrl, dir } = commit;
  const clone = join(dir, "clone-of-alice");
  const remote = `${forgeUrl}/${REPO}.git`;
  await mkdir(clone, { recursive: true });
  const basic = Buffer.from(`alice:${commit.token}`).toString("base64");
  const git = async (...args: string[]): Promise<void> => {
    await execa("git", args, {
      cwd: clone,
      extendEnv: false,
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: dir,
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_TERMINAL_PROMPT: "0",
        GIT_AUTHOR_NAME: "alice",
        GIT_AUTHOR_EMAIL: "alice@example.org",
        GIT_COMMITTER_NAME: "alice",
        GIT_COMMITTER_EMAIL: "alice@example.org",
        GIT_CONFIG_COUNT: "1",
        GIT_CONFIG_KEY_0: `http.${forgeUrl}/.extraHeader`,
        GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}`,
      },
    });
  };
  const isFirst = !(await Bun.file(join(clone, ".git/HEAD")).exists());
  if (isFirst) await git("init", "-q", "-b", "main");
  else await git("pull", "-q", "--ff-only", remote, "main");
  for (const [path, text] of Object.entries(commit.files)) {
    const target = join(clone, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, text);
  }
  await git("add", "-A");
  await git("commit", "-qm", isFirst ? "Widgets" : "More widgets");
  await git("push", "-q", remote, "main");
}
