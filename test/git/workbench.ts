import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import type { ItemRef } from "../../src/domain/snapshot.ts";
import { createGit } from "../../src/git/create-git.ts";
import type { Git, PushOrder, WorkspaceOrder } from "../../src/ports/git.ts";
import type { Log } from "../../src/ports/observe.ts";

export const ITEM: ItemRef = { repo: "acme/widgets", number: 42 };
const DEADLINE_MS = 20_000;
export const IDENTITY = { name: "boss", email: "boss@example.org" };

/** A bare origin with one commit on main, a person's clone of it, and the adapter under test. */
export interface Workbench extends AsyncDisposable {
  readonly root: string;
  readonly stateDir: string;
  readonly origin: string;
  readonly person: string;
  readonly git: Git;
  readonly warnings: string[];
  /** Another adapter on the same state directory, as after a restart; `searchPath`: where git is found. */
  restart(searchPath?: string): Git;
  order(change?: Partial<WorkspaceOrder>): WorkspaceOrder;
  pushOrder(change?: Partial<PushOrder>): PushOrder;
}

/** `spareAfterMs`: as of createGit; without it no spares are made. */
export async function workbench(
  options: { readonly spareAfterMs?: number } = {},
): Promise<Workbench> {
  const root = await mkdtemp(join(tmpdir(), "claude-hooks-git-"));
  const [stateDir, origin, person] = ["state", "acme/widgets.git", "person"].map((name) =>
    join(root, name),
  ) as [string, string, string];
  await mkdir(stateDir);
  await sh(root, ["init", "-q", "--bare", "-b", "main", origin]);
  await sh(root, ["clone", "-q", origin, person]);
  await sh(person, ["checkout", "-q", "-B", "main"]);
  await commit(person, { "README.md": "widgets\n", ".gitignore": "node_modules/\n" }, "Start");
  await sh(person, ["push", "-q", "origin", "main"]);
  const warnings: string[] = [];
  let run = 0;
  const made: Git[] = [];
  const restart = (searchPath?: string): Git => {
    const git = createGit({
      ...options,
      ...(searchPath === undefined ? {} : { searchPath }),
      stateDir,
      remoteUrl: (repo) => join(root, `${repo}.git`),
      credential: () => null,
      now: Date.now,
      log: recordingLog(warnings),
    });
    made.push(git);
    return git;
  };
  return {
    root,
    stateDir,
    origin,
    person,
    git: restart(),
    warnings,
    restart,
    order: (change) => {
      run += 1;
      const branch = "boss/42";
      const base = { item: ITEM, agent: "boss", base: "main", branch, at: null };
      return { ...base, identity: IDENTITY, run: `r${run}`, ...change };
    },
    pushOrder: (change) => {
      const base = { item: ITEM, agent: "boss", branch: "boss/42", base: "main" };
      return { ...base, remoteSha: null, run: "r1", ...change };
    },
    [Symbol.asyncDispose]: async () => {
      for (const git of made) await git.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/**
 * A git in front of the real one: `before` is shell text, run with git's arguments before each call.
 * @returns the PATH on which it is found
 */
export async function gitBehind(bench: Workbench, before: string): Promise<string> {
  const bin = join(bench.root, "bin");
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, "git"), `#!/bin/sh\n${before}\nexec ${Bun.which("git")} "$@"\n`);
  await chmod(join(bin, "git"), 0o755);
  return `${bin}:/usr/local/bin:/usr/bin:/bin`;
}

/** Where the spare of the bench's repository lies. */
export function spareOf({ stateDir }: Pick<Workbench, "stateDir">): string {
  return join(stateDir, "work/.spare", ITEM.repo);
}

export async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** Waits until it is so, 20 s at most. */
export async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error("not in time");
    await Bun.sleep(5);
  }
}

/** Runs git as a person or agent would (with the configuration of the directory it is in). */
export async function sh(cwd: string, args: readonly string[]): Promise<string> {
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: "/nonexistent",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: "Ada",
    GIT_AUTHOR_EMAIL: "ada@example.org",
    GIT_COMMITTER_NAME: "Ada",
    GIT_COMMITTER_EMAIL: "ada@example.org",
  };
  const result = await execa("git", args, { cwd, env, extendEnv: false });
  return result.stdout;
}

/** Writes files and commits them; resolves with the sha. */
export async function commit(
  cwd: string,
  files: Readonly<Record<string, string>>,
  message: string,
): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(cwd, name)), { recursive: true });
    await writeFile(join(cwd, name), text);
  }
  await sh(cwd, ["add", "-A"]);
  await sh(cwd, ["commit", "-q", "--allow-empty", "-m", message]);
  return await sh(cwd, ["rev-parse", "HEAD"]);
}

/** A commit of a person on a branch of the origin, from `from`. */
export async function personPushes(
  bench: Workbench,
  push: { branch: string; from: string; files: Readonly<Record<string, string>>; force?: boolean },
): Promise<string> {
  await sh(bench.person, ["fetch", "-q", "origin"]);
  await sh(bench.person, ["checkout", "-q", "-B", push.branch, push.from]);
  const sha = await commit(bench.person, push.files, `Change ${push.branch}`);
  await sh(bench.person, ["push", "-q", ...(push.force ? ["-f"] : []), "origin", push.branch]);
  return sha;
}

export function recordingLog(warnings: string[]): Log {
  const keep = (message: string, fields?: unknown): void => {
    warnings.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  return { debug: () => undefined, info: () => undefined, warn: keep, error: keep };
}
