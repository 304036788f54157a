import { execa } from "execa";

/** Who a commit made by the forge is from. */
export type GitIdentity = { name: string; email: string };

type GitResult = { exitCode: number; stdout: string; stderr: string };

export type GitRunner = {
  /** Directory of the bare repositories. */
  root: string;
  /** The HOME that git gets: empty, so that no configuration of the machine counts. */
  home: string;
  /** Runs git in a bare repository (or another directory); never throws for an exit code. */
  run: (cwd: string, args: string[], options?: GitOptions) => Promise<GitResult>;
  /** The same, and returns stdout. @throws Error with stderr for a non-zero exit code. */
  read: (cwd: string, args: string[], options?: GitOptions) => Promise<string>;
  /** One piece of work at a time per key. */
  exclusive: <T>(key: string, work: () => Promise<T>) => Promise<T>;
};

type GitOptions = { input?: string; identity?: GitIdentity };

const GIT_TIMEOUT_MS = 30_000;
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;

/** @returns a runner whose git reads no configuration of the machine or of its user. */
export function createGitRunner({ root, home }: { root: string; home: string }): GitRunner {
  const tails = new Map<string, Promise<unknown>>();
  const run: GitRunner["run"] = async (cwd, args, { input, identity } = {}) => {
    const result = await execa("git", args, {
      cwd,
      env: gitEnvironment(home, identity),
      extendEnv: false,
      reject: false,
      stripFinalNewline: true,
      timeout: GIT_TIMEOUT_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
      ...(input === undefined ? { stdin: "ignore" as const } : { input }),
    });
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  };
  return {
    root,
    home,
    run,
    read: async (cwd, args, options) => {
      const result = await run(cwd, args, options);
      if (result.exitCode !== 0)
        throw new Error(`git ${args[0]} failed with ${result.exitCode}: ${result.stderr}`);
      return result.stdout;
    },
    exclusive: async (key, work) => {
      const next = (tails.get(key) ?? Promise.resolve()).then(work, work);
      const tail = next.then(
        () => undefined,
        () => undefined,
      );
      tails.set(key, tail);
      try {
        return await next;
      } finally {
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
  };
}

/** @returns the whole environment git gets. */
export function gitEnvironment(home: string, identity?: GitIdentity): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin",
    HOME: home,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    LC_ALL: "C",
  };
  if (identity !== undefined) {
    environment["GIT_AUTHOR_NAME"] = identity.name;
    environment["GIT_AUTHOR_EMAIL"] = identity.email;
    environment["GIT_COMMITTER_NAME"] = identity.name;
    environment["GIT_COMMITTER_EMAIL"] = identity.email;
  }
  return environment;
}
