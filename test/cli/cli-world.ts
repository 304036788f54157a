import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type TempDirectory, tempDirectory, writeFixture } from "../support/config-fixture.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export const ADMIN_TOKEN = "admin-token-0123456789";

/** What a command needs of the real environment: PATH, and a cache of compiled files, kept where no test cleans up. */
export function cliEnvironment(): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "",
    BUN_RUNTIME_TRANSPILER_CACHE_PATH: fileURLToPath(
      new URL("../../node_modules/.cache/claude-hooks-test", import.meta.url),
    ),
  };
}

export interface CliEnd {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs the real command as a process in a directory, with an environment built from nothing. */
export async function claudeHooks(
  directory: TempDirectory,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliEnd> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], {
    cwd: directory.path,
    env: { ...cliEnvironment(), HOME: join(directory.path, "home"), TZ: "UTC", ...env },
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

export interface SeenCall {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly body: unknown;
}

/** A directory with a configuration and a stub of a running service's admin API. */
export interface ServiceWorld extends AsyncDisposable {
  readonly directory: TempDirectory;
  readonly calls: SeenCall[];
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliEnd>;
}

export type StubAnswer = (call: SeenCall) => Response;

export async function serviceWorld(answer: StubAnswer): Promise<ServiceWorld> {
  const directory = await tempDirectory();
  await writeFixture(directory);
  await directory.write("secrets/admin", `${ADMIN_TOKEN}\n`);
  const calls: SeenCall[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const url = new URL(request.url);
      const text = await request.text();
      const call = {
        method: request.method,
        path: url.pathname + url.search,
        authorization: request.headers.get("authorization"),
        body: text === "" ? null : (JSON.parse(text) as unknown),
      };
      calls.push(call);
      return call.authorization === `Bearer ${ADMIN_TOKEN}`
        ? answer(call)
        : Response.json({ error: "unauthorized" }, { status: 401 });
    },
  });
  await directory.write(
    "state/serve.json",
    JSON.stringify({
      pid: process.pid,
      version: "0.1.0",
      started_at: "2026-11-22T10:00:00.000Z",
      webhook: "http://127.0.0.1:1/webhook",
      admin: `http://127.0.0.1:${server.port}`,
    }),
  );
  return {
    directory,
    calls,
    run: (args, env) => claudeHooks(directory, args, env),
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
      await directory[Symbol.asyncDispose]();
    },
  };
}
