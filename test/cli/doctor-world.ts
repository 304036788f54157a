import { join } from "node:path";
import { type EmbeddedForge, startForge } from "../../demo/forge/start-forge.ts";
import { AGENTS, type Api, REPO, setUpWidgets, type Tokens } from "../../demo/scenario/widgets.ts";
import { type TempDirectory, tempDirectory } from "../support/config-fixture.ts";
import { type CliEnd, claudeHooks } from "./cli-world.ts";

export const MODEL = "claude-opus-5-5";
const MODEL_KEY = "sk-ant-0123456789-model-key";
const WEBHOOK_SECRET = "webhook-secret-0123456789abcdef";
const ADMIN_TOKEN = "admin-api-token-0123456789";
const HOOK_URL = "http://127.0.0.1:18080/webhook";

export const EVENTS = [
  ...["issues", "issue_assign", "issue_label", "issue_comment", "pull_request"],
  ...["pull_request_comment", "pull_request_review", "pull_request_review_request"],
  ...["pull_request_sync", "push", "create", "delete"],
  ...["action_run_success", "action_run_failure", "action_run_recover"],
];

export interface FoundHere {
  readonly id: string;
  readonly agent: string | null;
  readonly repo: string | null;
  readonly state: "ok" | "warning" | "problem" | "not_checked";
  readonly found: string;
  readonly remedy: string | null;
}

type Body = Record<string, unknown>;
/** Another answer, or what is different in the real one. */
type Instead = { readonly status: number; readonly text: string } | ((real: Body) => unknown);

/** A set-up in which all is well, and the means to spoil it. */
export interface DoctorWorld extends AsyncDisposable {
  readonly directory: TempDirectory;
  readonly forge: EmbeddedForge;
  readonly tokens: Tokens;
  readonly api: Api;
  readonly stateDir: string;
  readonly secrets: readonly string[];
  /** Changes the configuration by dotted path, e.g. `agents.boss.login`. */
  set(path: string, value: unknown): void;
  hook(changes?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Removes all hooks of the repository. */
  unhook(): Promise<void>;
  /** What the forge answers to a GET of paths that match, from now on. */
  forgeSays(path: RegExp, answer: Instead): void;
  /** How the model's server answers a GET; it lists its models and has one unless said otherwise. */
  modelSays(answer: (path: string, request: Request) => Response): void;
  /** What was written on the forge or asked of the model but for its list: nothing may be. */
  readonly writes: readonly string[];
  /** Runs a command with the configuration as it is now. */
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliEnd>;
  /** `doctor --json` with the administrator's token. */
  doctor(): Promise<{ readonly code: number; readonly findings: readonly FoundHere[] }>;
}

export async function doctorWorld(): Promise<DoctorWorld> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await tempDirectory());
  const forge = await startForge({ dir: join(directory.path, "forge") });
  stack.defer(async () => await forge.stop());
  const { tokens, api } = await setUpWidgets(forge, directory.path);
  const writes: string[] = [];
  const changed: { readonly path: RegExp; readonly answer: Instead }[] = [];
  const front = frontOf(forge, { changed, writes });
  stack.defer(async () => await front.stop(true));
  let ofModel = (path: string, _request: Request): Response => listsOneModel(path);
  const model = modelServer((path, request) => ofModel(path, request), writes);
  stack.defer(async () => await model.stop(true));

  const stateDir = join(directory.path, "state");
  const document = documentOf({
    forge: `http://127.0.0.1:${front.port}`,
    model: `http://127.0.0.1:${model.port}`,
  });
  for (const name of AGENTS) await directory.write(`secrets/${name}`, tokens.get(name) ?? "");
  await directory.write("secrets/webhook", WEBHOOK_SECRET);
  await directory.write("secrets/anthropic", MODEL_KEY);
  await directory.write("secrets/admin", ADMIN_TOKEN);
  await directory.write("secrets/alice", tokens.get("alice") ?? "");
  const run: DoctorWorld["run"] = async (args, env) => {
    await directory.write("claude-hooks.yaml", JSON.stringify(document));
    return await claudeHooks(directory, args, env);
  };
  const hook: DoctorWorld["hook"] = async (changes = {}) => {
    const config = { url: HOOK_URL, content_type: "json", secret: WEBHOOK_SECRET };
    const form = { type: "forgejo", active: true, config, events: EVENTS };
    await api("alice", "POST", `/repos/${REPO}/hooks`, { ...form, ...changes });
  };
  await hook();
  await api("alice", "POST", `/repos/${REPO}/branch_protections`, { rule_name: "main" });
  const open = stack.move();
  return {
    ...{ directory, forge, tokens, api, stateDir, hook, run, writes },
    secrets: [...tokens.values(), WEBHOOK_SECRET, MODEL_KEY, ADMIN_TOKEN],
    set: (path, value) => setIn(document, path, value),
    unhook: async () => {
      const hooks = (await api("alice", "GET", `/repos/${REPO}/hooks`)) as { id: number }[];
      for (const { id } of hooks) await api("alice", "DELETE", `/repos/${REPO}/hooks/${id}`);
    },
    forgeSays: (path, answer) => changed.push({ path, answer }),
    modelSays: (answer) => {
      ofModel = answer;
    },
    doctor: async () => {
      const args = ["doctor", "--json", "--admin-token-file", "secrets/alice"];
      const { code, out, errors } = await run(args);
      if (errors !== "") throw new Error(errors);
      return { code, findings: (JSON.parse(out) as { findings: FoundHere[] }).findings };
    },
    [Symbol.asyncDispose]: async () => await open.disposeAsync(),
  };
}

/** The smallest set-up of the story, without walls: they are proved in one test. */
function documentOf(urls: { readonly forge: string; readonly model: string }): Body {
  const agent = (name: string, skills: readonly string[]) => ({
    ...{ login: name, token: { file: `secrets/${name}` }, skills, model: MODEL },
  });
  return {
    forge: { kind: "forgejo", url: urls.forge, requests_per_second: 500 },
    webhook: { listen: "127.0.0.1:18080", secrets: [{ file: "secrets/webhook" }] },
    model: { base_url: urls.model, api_key: { file: "secrets/anthropic" } },
    state_dir: "state",
    agents: {
      boss: agent("boss", ["implement", "address-review"]),
      reviewer: agent("reviewer", ["review"]),
      "code-lead": agent("code-lead", ["merge"]),
    },
    repositories: [{ name: REPO, autonomy: "merge" }],
    sandbox: { mode: "none" },
    allow_root: true,
  };
}

function setIn(document: Body, path: string, value: unknown): void {
  const parts = path.split(".");
  const last = parts.pop() ?? "";
  let place = document;
  for (const part of parts) place = place[part] as Body;
  place[last] = value;
}

interface Seen {
  readonly changed: readonly { readonly path: RegExp; readonly answer: Instead }[];
  readonly writes: string[];
}

/** Stands before the embedded forge, for what that cannot be made to be. */
function frontOf(forge: EmbeddedForge, { changed, writes }: Seen) {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      if (request.method !== "GET") writes.push(`${request.method} ${pathname}`);
      const instead = changed.findLast(({ path }) => path.test(pathname))?.answer;
      if (instead !== undefined && "status" in instead) {
        return new Response(instead.text, { status: instead.status });
      }
      const real = await fetch(`${forge.url}${pathname}${search}`, {
        method: request.method,
        headers: request.headers,
      });
      if (instead === undefined || !real.ok) return real;
      return Response.json(instead((await real.json()) as Body));
    },
  });
}

function modelServer(answer: (path: string, request: Request) => Response, writes: string[]) {
  return Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET") writes.push(`${request.method} ${pathname}`);
      if (request.headers.get("x-api-key") !== MODEL_KEY) {
        const error = { type: "authentication_error", message: "invalid x-api-key" };
        return Response.json({ type: "error", error }, { status: 401 });
      }
      return answer(pathname, request);
    },
  });
}

/** As docs of the Messages API say: a list, and one model by its name. */
function listsOneModel(path: string): Response {
  const model = { type: "model", id: MODEL };
  if (path === "/v1/models") return Response.json({ data: [model], has_more: false });
  if (path === `/v1/models/${MODEL}`) return Response.json(model);
  const error = { type: "not_found_error", message: `model: ${path}` };
  return Response.json({ type: "error", error }, { status: 404 });
}
