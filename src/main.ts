import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import packageFile from "../package.json" with { type: "json" };
import { loadConfig } from "./config/load-config.ts";
import { formatProblem } from "./config/problem.ts";
import { checkStateDir } from "./main/check-state-dir.ts";
import { directForLoopback } from "./main/direct-for-loopback.ts";
import { refuse } from "./main/refuse.ts";
import type { Replaced } from "./main/replaced.ts";
import { lockStateDir } from "./store/lock-state-dir.ts";

/**
 * Runs the service until it is told to stop; resolves with the exit code. `configPath` is what
 * `--config` said; `env` is the environment of the process. One process at a time serves a state
 * directory: a second one is refused before it loads or touches anything else.
 */
export async function serve(options: {
  readonly configPath?: string;
  readonly env: Record<string, string | undefined>;
  readonly replaced?: Replaced;
}): Promise<number> {
  const { env, replaced = {} } = options;
  // Whatever the service and its children make is for this user only.
  process.umask(0o077);
  directForLoopback(process.env);
  const loaded = await loadConfig({
    explicitPath: options.configPath ?? null,
    env,
    cwd: process.cwd(),
    home: env["HOME"] ?? homedir(),
    uid: process.getuid?.() ?? null,
  });
  if (!loaded.ok) {
    return refuse(loaded.problems.map((problem) => formatProblem(problem, loaded.file)));
  }
  const { config, notices } = loaded;
  const { stateDir } = config;
  const problem =
    (await makeStateDir(stateDir)) ?? checkStateDir(stateDir, process.getuid?.() ?? null);
  if (problem !== null) return refuse([problem]);
  const lock = lockStateDir({
    stateDir,
    pid: process.pid,
    version: packageFile.version,
    startedAt: Date.now(),
  });
  if (!lock.ok) return refuse([lock.problem]);
  try {
    // Only now: loading all of the service takes longer than refusing to start.
    const { runService } = await import("./main/run-service.ts");
    return await runService({ config, notices, env, replaced });
  } finally {
    lock.release();
  }
}

/** Makes the directory unless something has that name; resolves with why it cannot be made, or null. */
async function makeStateDir(stateDir: string): Promise<string | null> {
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    return null;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code === "EEXIST") return null;
    return `state_dir ${stateDir} cannot be made: ${error.message}: name another directory, or make it`;
  }
}
