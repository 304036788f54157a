import { execa } from "execa";
import { GitFailure, type GitFailureKind } from "../ports/git.ts";

/** One call of git. Arguments are an array and never pass a shell. */
interface GitCall {
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the clean environment, e.g. GIT_DIR. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Output beyond this many bytes is cut and git is ended; then `truncated` is true. */
  readonly outputBytes?: number;
  /** Exit codes that are an answer; 0 when absent. */
  readonly exits?: readonly number[];
  /** Ends git when it is aborted. */
  readonly signal?: AbortSignal;
  /** Set for a call to the forge: which protocols, which credential. Absent: local files only. */
  readonly remote?: GitRemote;
}

/** The one remote a call of git may speak to. */
export interface GitRemote {
  readonly url: string;
  /** One header line, e.g. `Authorization: Basic …`; null: none. Reaches git by environment only. */
  readonly header: string | null;
  /** PEM file of the authority that signed the forge's certificate. */
  readonly caFile: string | null;
}

interface GitResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
}

/** @throws GitExit */
export type RunGit = (call: GitCall) => Promise<GitResult>;

/** Git ended with an exit code that is no answer. */
export class GitExit extends GitFailure {
  readonly stdout: string;
  readonly stderr: string;

  constructor(
    kind: GitFailureKind,
    message: string,
    said: { readonly stdout: string; readonly stderr: string },
  ) {
    super(kind, message);
    this.stdout = said.stdout;
    this.stderr = said.stderr;
  }

  /** `git push --porcelain` got an answer of the forge, and it was no. */
  get isRejection(): boolean {
    return /^!\t/m.test(this.stdout);
  }
}

/** Where git is found. */
export const SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin";
const LOCAL_TIMEOUT_MS = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const KILL_AFTER_MS = 2_000;
const STDERR_CHARACTERS_MAX = 400;

/**
 * @returns a runner whose git sees no configuration of the machine or user, no hooks, no helpers,
 * no terminal, and only the protocols the call needs. `searchPath` is the PATH git is found on.
 */
export function createRunGit({ searchPath }: { readonly searchPath: string }): RunGit {
  return async (call) => {
    const result = await execa("git", [...call.args], {
      cwd: call.cwd,
      env: { ...cleanEnvironment(searchPath), ...settings(call.remote), ...call.env },
      extendEnv: false,
      reject: false,
      stripFinalNewline: false,
      encoding: "buffer",
      timeout: call.timeoutMs ?? LOCAL_TIMEOUT_MS,
      forceKillAfterDelay: KILL_AFTER_MS,
      ...(call.signal === undefined ? {} : { cancelSignal: call.signal }),
      maxBuffer: { stdout: call.outputBytes ?? OUTPUT_BYTES_MAX, stderr: 64 * 1024 },
      ...(call.input === undefined ? { stdin: "ignore" as const } : { input: call.input }),
    });
    const stdout = new TextDecoder().decode(result.stdout);
    const stderr = new TextDecoder().decode(result.stderr);
    const said = { stdout, stderr };
    const name = call.args.find((arg) => /^[a-z][a-z-]+$/.test(arg)) ?? "git";
    if (result.timedOut) throw new GitExit("timeout", `git ${name} took too long`, said);
    if (result.isMaxBuffer && call.outputBytes !== undefined)
      return { exitCode: 0, stdout, stderr, truncated: true };
    if (result.exitCode === undefined)
      throw new GitExit("broken", `git ${name} did not run: ${result.shortMessage}`, said);
    if (!(call.exits ?? [0]).includes(result.exitCode))
      throw new GitExit(
        kindOf(stderr, call.remote !== undefined),
        `git ${name} exited with ${result.exitCode}: ${lastWords(stderr)}`,
        said,
      );
    return { exitCode: result.exitCode, stdout, stderr, truncated: false };
  };
}

/** What git says when its own store is damaged (messages are stable under LC_ALL=C). */
export function isCorrupt(error: unknown): boolean {
  if (!(error instanceof GitExit)) return false;
  const own = error.stderr.replace(/^remote:.*$/gm, "");
  return /corrupt|bad object|not a git repository|missing (?:blob|tree|commit|object)|is empty|unable to read (?:tree|sha1|object)|invalid sha1 pointer|bad config|inflate|did not send all necessary objects|not a valid object|unable to (?:parse|resolve) (?:object|reference)|cannot lock ref|index-pack failed|packfile .* (?:cannot|does not)|File exists|(?:unterminated|unexpected) line in .*packed-refs/i.test(
    own,
  );
}

/** The first words of each line name the kind; the newest git and 2.39 agree on them. */
const KINDS: readonly (readonly [RegExp, GitFailureKind])[] = [
  [/No space left on device|Disk quota exceeded|unable to write|write error/i, "disk"],
  [
    /Authentication failed|could not read (?:Username|Password)|returned error: 40[13]|HTTP 40[13]\b/i,
    "auth",
  ],
  [/repository '.*' not found|returned error: 404|does not appear to be a git repos/i, "not_found"],
  [
    /Could not resolve host|Failed to connect|Connection (?:refused|reset|timed out)|Couldn't connect|returned error: (?:5\d\d|429)|RPC failed|early EOF|hung up unexpectedly|Operation too slow|unexpected disconnect|SSL|Empty reply|Recv failure/i,
    "unavailable",
  ],
];

function kindOf(stderr: string, isRemote: boolean): GitFailureKind {
  const found = KINDS.find(([pattern]) => pattern.test(stderr))?.[1] ?? "broken";
  const saysForge = found === "auth" || found === "not_found" || found === "unavailable";
  return saysForge && !isRemote ? "broken" : found;
}

function lastWords(stderr: string): string {
  const lines = stderr
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("hint:"));
  return lines.slice(-4).join(" | ").slice(0, STDERR_CHARACTERS_MAX) || "it said nothing";
}

function cleanEnvironment(searchPath: string): Record<string, string> {
  return {
    PATH: searchPath,
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_NO_LAZY_FETCH: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_LITERAL_PATHSPECS: "1",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_PROTOCOL_FROM_USER: "0",
    GIT_EDITOR: "/bin/false",
    GIT_PAGER: "cat",
  };
}

/**
 * Configuration by GIT_CONFIG_COUNT, so that the token is in no argument, URL or file (measured
 * with git 2.39.5: `http.<origin>/.extraHeader` is sent with the first request).
 */
function settings(remote: GitRemote | undefined): Record<string, string> {
  const pairs: [string, string][] = [
    ["core.hooksPath", "/dev/null"],
    ["core.fsmonitor", "false"],
    ["core.attributesFile", "/dev/null"],
    ["core.excludesFile", "/dev/null"],
    ["credential.helper", ""],
    ["protocol.ext.allow", "never"],
    ["submodule.recurse", "false"],
    ["fetch.recurseSubmodules", "false"],
    ["diff.ignoreSubmodules", "all"],
    ["gc.auto", "0"],
    ["maintenance.auto", "false"],
    ["gpg.program", "/bin/false"],
    ["commit.gpgSign", "false"],
    ["transfer.credentialsInUrl", "die"],
    ["http.followRedirects", "false"],
    ["http.lowSpeedLimit", "1000"],
    ["http.lowSpeedTime", "30"],
  ];
  if (remote?.caFile) pairs.push(["http.sslCAInfo", remote.caFile]);
  const isHttp = remote !== undefined && /^https?:/.test(remote.url);
  if (isHttp && remote.header !== null)
    pairs.push([`http.${new URL(remote.url).origin}/.extraHeader`, remote.header]);
  const environment: Record<string, string> = {
    GIT_CONFIG_COUNT: String(pairs.length),
    GIT_ALLOW_PROTOCOL: isHttp ? "http:https" : "file",
  };
  for (const [index, [key, value]] of pairs.entries()) {
    environment[`GIT_CONFIG_KEY_${index}`] = key;
    environment[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return environment;
}
