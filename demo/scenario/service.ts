import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { AGENTS, REPO, type Tokens } from "./widgets.ts";

const READY_MS = 20_000;
const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** One line of the service's log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** The service as a process of its own. */
export interface RunningService {
  readonly configPath: string;
  readonly stateDir: string;
  readonly webhook: string;
  readonly admin: string;
  readonly pid: number;
  /** Resolves with the exit code once the process is gone. */
  readonly exited: Promise<number>;
  /** Sends SIGTERM and waits for the end; resolves with the exit code. */
  stop(): Promise<number>;
}

export interface ServiceOptions {
  readonly dir: string;
  readonly forgeUrl: string;
  readonly tokens: Tokens;
  readonly webhookSecret: string;
  readonly model: { readonly baseUrl: string | null; readonly key: string };
  readonly sandbox: "bwrap" | "none";
  readonly sweepSeconds: number;
  readonly onLog: (line: LogLine) => void;
  /** Text of further top-level keys of the configuration, or "". */
  readonly more?: string;
  /** Further or other keys of the repository's entry. */
  readonly repository?: Readonly<Record<string, unknown>>;
  /** Other skills than the story's, by agent. */
  readonly skills?: Readonly<Record<string, readonly string[]>>;
}

const SKILLS: Readonly<Record<(typeof AGENTS)[number], readonly string[]>> = {
  boss: ["implement", "address-review"],
  reviewer: ["review"],
  "code-lead": ["merge"],
};

/** Writes a real configuration with its secret files and starts `claude-hooks serve` as a process of its own. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const configPath = await writeConfig(options);
  const stateDir = join(options.dir, "state");
  const child = spawn(process.execPath, [CLI, "serve", "--config", configPath], {
    cwd: options.dir,
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"] ?? "", HOME: options.dir, LANG: "C.UTF-8" },
  });
  const last: string[] = [];
  const exited = new Promise<number>((resolve) => {
    child.once("exit", (code) => resolve(code ?? 1));
  });
  follow(child, options.onLog, last);
  const { webhook, admin } = await waitForListeners(stateDir, { child, exited, last });
  return {
    configPath,
    stateDir,
    webhook,
    admin,
    pid: child.pid ?? 0,
    exited,
    stop: async () => {
      child.kill("SIGTERM");
      return await exited;
    },
  };
}

/** Writes the configuration and its secret files into `options.dir`; resolves with its path. */
export async function writeConfig(options: ServiceOptions): Promise<string> {
  const { dir, tokens, model } = options;
  const secrets = join(dir, "secrets");
  const tools = join(dir, "tools");
  const programs = join(tools, "bin");
  await mkdir(secrets, { recursive: true, mode: 0o700 });
  await mkdir(programs, { recursive: true });
  const write = async (name: string, value: string): Promise<void> => {
    await writeFile(join(secrets, name), value, { mode: 0o600 });
  };
  await write("webhook", options.webhookSecret);
  await write("anthropic", model.key);
  await write("admin", randomBytes(32).toString("hex"));
  for (const agent of AGENTS) await write(agent, tokens.get(agent) ?? "");
  // The repository's tests run with `bun`, which the host need not have in its path (script/setup puts
  // it into the checkout, under another name): a tool chain in `read` has it in a directory `bin`.
  await symlink(process.execPath, join(programs, "bun")).catch(ignoreExisting);
  const path = join(dir, "claude-hooks.yaml");
  await writeFile(path, configText(options, [tools, dirname(process.execPath)]));
  return path;
}

function configText(options: ServiceOptions, read: readonly string[]): string {
  const { model } = options;
  const repository = {
    name: REPO,
    autonomy: "merge",
    base: "main",
    checks: "none",
    review: "agents",
    approvals: { any: 1, people: 0 },
    read,
    ...options.repository,
  };
  return `${[
    `forge: { kind: forgejo, url: "${options.forgeUrl}", requests_per_second: 200 }`,
    'webhook: { listen: "127.0.0.1:0", path: /webhook, secrets: [{ file: secrets/webhook }] }',
    'admin: { listen: "127.0.0.1:0", token: { file: secrets/admin } }',
    "state_dir: ./state",
    `model: { base_url: ${JSON.stringify(model.baseUrl)}, api_key: { file: secrets/anthropic } }`,
    "agents:",
    ...AGENTS.map((name) => {
      const skills = (options.skills?.[name] ?? SKILLS[name]).join(", ");
      return `  ${name}: { login: ${name}, token: { file: secrets/${name} }, skills: [${skills}], model: claude-opus-5-5 }`;
    }),
    "repositories:",
    // JSON is YAML, too.
    `  - ${JSON.stringify(repository)}`,
    `sweep_seconds: ${options.sweepSeconds}`,
    `sandbox: { mode: ${options.sandbox} }`,
    "allow_root: true",
    options.more ?? "",
  ].join("\n")}\n`;
}

function follow(child: ChildProcess, onLog: (line: LogLine) => void, last: string[]): void {
  if (child.stderr === null) return;
  createInterface({ input: child.stderr }).on("line", (text) => {
    last.push(text);
    if (last.length > 20) last.shift();
    const line = parseLine(text);
    if (line !== null) onLog(line);
  });
}

function parseLine(text: string): LogLine | null {
  if (!text.startsWith("{")) return null;
  try {
    return JSON.parse(text) as LogLine;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

async function waitForListeners(
  stateDir: string,
  {
    child,
    exited,
    last,
  }: { child: ChildProcess; exited: Promise<number>; last: readonly string[] },
): Promise<{ webhook: string; admin: string }> {
  const until = Date.now() + READY_MS;
  let code: number | null = null;
  void exited.then((value) => {
    code = value;
  });
  while (Date.now() < until) {
    if (code !== null) throw new Error(`serve ended with ${code}:\n${last.join("\n")}`);
    try {
      const told = JSON.parse(await readFile(join(stateDir, "serve.json"), "utf8")) as {
        pid: number;
        webhook: string;
        admin: string;
      };
      // A killed service leaves its file behind.
      if (told.pid === child.pid) return told;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
    await Bun.sleep(20);
  }
  child.kill("SIGKILL");
  throw new Error(`serve was not ready after ${READY_MS} ms:\n${last.join("\n")}`);
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
}
