import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readConversation, say } from "../../demo/model/conversation.ts";
import type { RecordedRequest } from "../../demo/model/endpoint.ts";
import { type LogLine, type RunningService, startService } from "../../demo/scenario/service.ts";
import { createHook, ISSUE, pushFiles, REPO } from "../../demo/scenario/widgets.ts";
import { startWorld, type World, type WorldOptions } from "../../demo/scenario/world.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import type { Talk } from "./model-steps.ts";

/** The key the service has and nobody else may ever see. */
export const MODEL_KEY = "sk-ant-0123456789abcdef-must-stay-outside";

const PATIENCE_MS = 20_000;
const LOOK_MS = 15;
const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

type Fields = Readonly<Record<string, unknown>>;
type Wish = Partial<
  Pick<WorldOptions, "more" | "repository" | "skills" | "sweepSeconds" | "sandbox">
>;

interface Answer {
  readonly status: number;
  readonly json: unknown;
}

interface CliEnd {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** The real service as a process between the embedded forge and a scripted model. */
export interface ServiceWorld extends AsyncDisposable {
  readonly dir: string;
  readonly stateDir: string;
  readonly world: World;
  readonly service: () => RunningService;
  /** Every line the service logged, of all its lives. */
  readonly lines: readonly LogLine[];
  readonly api: World["api"];
  /** What the model does from now on; it is asked only about prompts of the service. */
  script(talk: Talk): void;
  /** Requests of conversations, oldest first. */
  requests(): readonly RecordedRequest[];
  /** Waits for the first line with these fields among those from index `from` on. */
  line(fields: Fields, from?: number): Promise<LogLine>;
  matching(fields: Fields): readonly LogLine[];
  /** Waits until the probe gives something else than null, undefined or false. */
  until<T>(what: string, probe: () => T | Promise<T>, ms?: number): Promise<NonNullable<T>>;
  /** Creates the story's issue as alice with these assignees; resolves with its number. */
  issue(assignees?: readonly string[]): Promise<number>;
  comment(login: string, number: number, body: string): Promise<number>;
  comments(number: number): Promise<readonly Comment[]>;
  pulls(): Promise<readonly Pull[]>;
  /** A call of the admin API with its token. */
  admin(method: "GET" | "POST", path: string, body?: unknown): Promise<Answer>;
  item(number: number): Promise<ItemView>;
  runs(): Promise<readonly RunView[]>;
  /** Waits until no webhook is under way and the item has been decided on with no run left. */
  settled(number: number): Promise<ItemView>;
  cli(...args: readonly string[]): Promise<CliEnd>;
  /** Commits files on the base branch as alice. */
  push(files: Readonly<Record<string, string>>): Promise<void>;
  /** An account that may read the public repository and nothing else. */
  stranger(login: string): void;
  /** SIGKILL for the service alone; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts the service anew on the same state and tells the forge its new address. */
  startAgain(): Promise<void>;
}

interface Comment {
  readonly id: number;
  readonly body: string;
  readonly user: { readonly login: string };
}

interface Pull {
  readonly number: number;
  readonly state: string;
  readonly merged: boolean;
  readonly head: { readonly ref: string; readonly sha: string };
}

interface RunView {
  readonly id: string;
  readonly agent: string;
  readonly skill: string;
  readonly session: string;
  readonly resumed: boolean;
  readonly outcome: string | null;
  readonly reason: string | null;
}

interface ItemView {
  readonly state: string;
  readonly decision: string;
  readonly reason: string;
  readonly runs: readonly RunView[];
  readonly effects: readonly { readonly tool: string; readonly state: string }[];
}

const alive = new Set<RunningService>();
process.on("exit", () => {
  for (const { pid } of alive) killNow(pid);
});

/** Starts a world of its own in a new directory. */
export async function serviceWorld(wish: Wish = {}): Promise<ServiceWorld> {
  const dir = await mkdtemp(join(tmpdir(), "ch-loop-"));
  const lines: LogLine[] = [];
  let talk: Talk = () => say("I was told nothing.");
  const world = await startWorld({
    dir,
    modelKey: MODEL_KEY,
    sandbox: "bwrap",
    sweepSeconds: 60,
    ...wish,
    respond: async (recorded) => {
      // A hand-over is asked for without any tools.
      const isOurs = recorded.main || recorded.raw.includes("This conversation ends here");
      const conversation = isOurs ? readConversation(recorded) : null;
      return conversation === null ? say("ok") : await talk(conversation);
    },
    onLog: (line) => {
      lines.push(line);
      if (process.env["LOOP_LOG"] === "1") console.error(JSON.stringify(line));
    },
  }).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  const processes = createProcesses();
  let service = world.service;
  alive.add(service);
  const { api } = world;
  const until: ServiceWorld["until"] = async (what, probe, ms = PATIENCE_MS) => {
    const end = performance.now() + ms;
    for (;;) {
      const found = await probe();
      if (found !== null && found !== undefined && found !== false) return found;
      if (performance.now() > end) throw new Error(`${what}: not within ${ms} ms\n${tail(lines)}`);
      await Bun.sleep(LOOK_MS);
    }
  };
  const admin: ServiceWorld["admin"] = async (method, path, body) =>
    await callAdmin({ dir, service, method, path, body });
  const item = async (number: number): Promise<ItemView> =>
    (await admin("GET", `/api/v1/items/${REPO}/${number}`)).json as ItemView;
  const kill = async (): Promise<void> => {
    killNow(service.pid);
    await service.exited;
    alive.delete(service);
  };
  return {
    dir,
    stateDir: world.service.stateDir,
    world,
    service: () => service,
    lines,
    api,
    script: (next) => {
      talk = next;
    },
    requests: () => (world.model?.requests ?? []).filter(({ main }) => main),
    line: async (fields, from = 0) =>
      await until(`a line ${JSON.stringify(fields)}`, () =>
        lines.slice(from).find((line) => isLike(line, fields)),
      ),
    matching: (fields) => lines.filter((line) => isLike(line, fields)),
    until,
    issue: async (assignees = ["boss"]) => {
      const made = await api("alice", "POST", `/repos/${REPO}/issues`, { ...ISSUE, assignees });
      return (made as { number: number }).number;
    },
    comment: async (login, number, body) => {
      const made = await api(login, "POST", `/repos/${REPO}/issues/${number}/comments`, { body });
      return (made as { id: number }).id;
    },
    comments: async (number) =>
      (await api("alice", "GET", `/repos/${REPO}/issues/${number}/comments`)) as Comment[],
    pulls: async () => (await api("alice", "GET", `/repos/${REPO}/pulls?state=all`)) as Pull[],
    admin,
    item,
    runs: async () =>
      ((await admin("GET", "/api/v1/runs")).json as { runs: RunView[] }).runs.toReversed(),
    settled: async (number) => {
      await world.forge.idle();
      return await until(`item ${number} has settled`, async () => {
        const { status, json } = await admin("GET", `/api/v1/items/${REPO}/${number}`);
        const view = json as ItemView;
        const rests = status === 200 && (view.state === "idle" || view.state === "parked");
        return rests && (await queueIsEmpty(admin)) ? view : null;
      });
    },
    cli: async (...args) => await runCli(dir, service.configPath, args),
    push: async (files) => {
      const token = world.tokens.get("alice") ?? "";
      await pushFiles({ forgeUrl: world.forge.url, token, dir, files });
    },
    stranger: (login) => {
      world.tokens.set(login, world.forge.createUser(login).token);
    },
    kill,
    startAgain: async () => {
      alive.delete(service);
      service = await startService(world.serviceOptions);
      alive.add(service);
      const hooks = (await api("alice", "GET", `/repos/${REPO}/hooks`)) as { id: number }[];
      for (const { id } of hooks) await api("alice", "DELETE", `/repos/${REPO}/hooks/${id}`);
      await createHook(api, service.webhook, world.serviceOptions.webhookSecret);
    },
    [Symbol.asyncDispose]: async () => {
      const root = processes.identify(service.pid);
      if (root !== null) await processes.end(root);
      await kill();
      await world.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

function isLike(line: LogLine, fields: Fields): boolean {
  return Object.entries(fields).every(([name, value]) => Object.is(line[name], value));
}

const tail = (lines: readonly LogLine[]): string =>
  lines
    .slice(-15)
    .map((line) => JSON.stringify(line))
    .join("\n");

function killNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function queueIsEmpty(admin: ServiceWorld["admin"]): Promise<boolean> {
  const { json } = await admin("GET", "/api/v1/status");
  const { queue } = json as { queue: { waiting: number; active: number } };
  return queue.waiting === 0 && queue.active === 0;
}

/** By node:http: a proxy in the environment of the tests must not see the token. */
async function callAdmin(call: {
  dir: string;
  service: RunningService;
  method: string;
  path: string;
  body: unknown;
}): Promise<Answer> {
  const token = (await readFile(join(call.dir, "secrets/admin"), "utf8")).trim();
  const text = call.body === undefined ? null : JSON.stringify(call.body);
  return await new Promise<Answer>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(text === null ? {} : { "content-type": "application/json" }),
    };
    const sent = request(new URL(call.path, call.service.admin), { method: call.method, headers });
    sent.on("error", reject);
    sent.on("response", (response) => {
      let received = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        received += piece;
      });
      response.on("end", () => {
        const json: unknown = received === "" ? null : JSON.parse(received);
        resolve({ status: response.statusCode ?? 0, json });
      });
    });
    sent.end(text ?? undefined);
  });
}

async function runCli(dir: string, configPath: string, args: readonly string[]): Promise<CliEnd> {
  const child = Bun.spawn([process.execPath, CLI, "--config", configPath, ...args], {
    cwd: dir,
    env: { PATH: process.env["PATH"] ?? "", HOME: dir, TZ: "UTC" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, errors };
}
