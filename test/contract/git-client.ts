import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";

export type GitAnswer = { exitCode: number; stdout: string; stderr: string };

/** Runs git as one account: its token goes by environment, as a header for this server only. */
export async function runGit(
  cwd: string,
  args: string[],
  { url, token }: { url: string; token: string | undefined },
): Promise<GitAnswer> {
  const pair = Buffer.from(`x:${token}`).toString("base64");
  const header =
    token === undefined
      ? {}
      : {
          GIT_CONFIG_COUNT: "1",
          GIT_CONFIG_KEY_0: `http.${url}/.extraHeader`,
          GIT_CONFIG_VALUE_0: `Authorization: Basic ${pair}`,
        };
  const result = await execa("git", args, {
    cwd,
    reject: false,
    extendEnv: false,
    stdin: "ignore",
    env: {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      HOME: cwd,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: "Contract",
      GIT_AUTHOR_EMAIL: "contract@example.org",
      GIT_COMMITTER_NAME: "Contract",
      GIT_COMMITTER_EMAIL: "contract@example.org",
      LC_ALL: "C",
      ...header,
    },
  });
  return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
}

/** Writes files below a directory. */
export async function writeFiles(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}
