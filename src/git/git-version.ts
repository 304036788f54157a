import { createRunGit, SEARCH_PATH } from "./run-git.ts";

/** The version of the git the service uses, e.g. `2.39.5`. Throws GitFailure when there is none. */
export async function gitVersion(): Promise<string> {
  const git = createRunGit({ searchPath: SEARCH_PATH });
  const { stdout } = await git({ args: ["--version"], cwd: "/", timeoutMs: TIMEOUT_MS });
  return /\d+(?:\.\d+)+/u.exec(stdout)?.[0] ?? stdout.trim();
}

const TIMEOUT_MS = 10_000;
