import { Hono } from "hono";
import { noticePush } from "./after-push.ts";
import type { ForgeContext, ForgeEnv } from "./answers.ts";
import { identify } from "./auth.ts";
import { readRefs } from "./bare-repository.ts";
import type { Forge } from "./forge.ts";
import { gitEnvironment } from "./git-runner.ts";
import { type Account, accessOf, canWrite, findRepo, LIMITS, type Repo } from "./state.ts";

/** @returns git over HTTP: `/:owner/:repo(.git)/info/refs`, git-upload-pack, git-receive-pack. */
export function gitHttpRoutes(forge: Forge): Hono<ForgeEnv> {
  const app = new Hono<ForgeEnv>();
  app.get("/:owner/:repo/info/refs", (c) => serve(forge, c, "info/refs"));
  app.post("/:owner/:repo/git-upload-pack", (c) => serve(forge, c, "git-upload-pack"));
  app.post("/:owner/:repo/git-receive-pack", (c) => serve(forge, c, "git-receive-pack"));
  return app;
}

async function serve(forge: Forge, c: ForgeContext, action: string): Promise<Response> {
  const isPush = action === "git-receive-pack" || c.req.query("service") === "git-receive-pack";
  const name = (c.req.param("repo") ?? "").replace(/\.git$/, "");
  const repo = findRepo(forge.state, c.req.param("owner") ?? "", name);
  const caller = identify(forge, c.req.header("Authorization"));
  if (caller === undefined) return askForPassword(c);
  const { account } = caller;
  if (
    repo === undefined ||
    accessOf(repo, account) === undefined ||
    (isPush && account === undefined)
  )
    return account === undefined ? askForPassword(c) : c.text("Repository not found", 404);
  if (isPush && !canWrite(repo, account)) return c.text("User permission denied for writing.", 403);
  const body = new Uint8Array(await c.req.arrayBuffer());
  if (body.byteLength > LIMITS.pushBytes) return c.text("request is too large", 413);
  const call = { c, repo, action, account, body };
  if (action !== "git-receive-pack" || account === undefined) return runBackend(forge, call);
  return forge.git.exclusive(repo.path, async () => {
    const response = await runBackend(forge, call);
    const whole = await response.arrayBuffer();
    noticePush(forge, repo, { refs: await readRefs(forge, repo), pusher: account });
    return new Response(whole, response);
  });
}

function askForPassword(c: ForgeContext): Response {
  c.header("WWW-Authenticate", 'Basic realm="Forgejo"');
  return c.text("Unauthorized", 401);
}

type Call = {
  c: ForgeContext;
  repo: Repo;
  action: string;
  account: Account | undefined;
  body: Uint8Array;
};

/** Runs `git http-backend` by the rules of CGI (RFC 3875). */
async function runBackend(
  forge: Forge,
  { c, repo, action, account, body }: Call,
): Promise<Response> {
  const protectedRefs = repo.protections
    .filter((rule) => !rule.enablePush)
    .map((rule) => `refs/heads/${rule.ruleName}`);
  const url = new URL(c.req.url);
  const child = Bun.spawn(["git", "http-backend"], {
    cwd: forge.git.root,
    env: {
      ...gitEnvironment(forge.git.home),
      GIT_PROJECT_ROOT: forge.git.root,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: `${repo.path.slice(forge.git.root.length)}/${action}`,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: c.req.method,
      CONTENT_TYPE: c.req.header("Content-Type") ?? "",
      CONTENT_LENGTH: String(body.byteLength),
      HTTP_CONTENT_ENCODING: c.req.header("Content-Encoding") ?? "",
      GIT_PROTOCOL: c.req.header("Git-Protocol") ?? "",
      REMOTE_ADDR: "127.0.0.1",
      FORGE_PROTECTED_REFS: protectedRefs.join(" "),
      ...(account === undefined ? {} : { REMOTE_USER: account.login }),
    },
    stdin: body,
    stdout: "pipe",
    stderr: "ignore",
  });
  const output = new Uint8Array(await new Response(child.stdout).arrayBuffer());
  await child.exited;
  return fromCgi(output);
}

function fromCgi(output: Uint8Array<ArrayBuffer>): Response {
  const end = Buffer.from(output.buffer).indexOf("\r\n\r\n");
  if (end < 0) return new Response("git http-backend gave no answer", { status: 500 });
  const headers = new Headers();
  let status = 200;
  for (const line of new TextDecoder().decode(output.subarray(0, end)).split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === "status") status = Number(value.split(" ", 1)[0]);
    else headers.append(name, value);
  }
  return new Response(output.subarray(end + 4), { status, headers });
}
