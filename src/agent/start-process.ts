import { type ChildProcess, spawn } from "node:child_process";
import { PassThrough, type Readable, type Writable } from "node:stream";
import type { SpawnedProcess } from "@anthropic-ai/claude-agent-sdk";
import type { JailedCommand, Processes, ProcessIdentity } from "../ports/jail.ts";
import { boundedLines } from "./bounded-lines.ts";

const STDERR_CHARS_MAX = 4_000;
const STDERR_MS_MAX = 1_000;
/** A request to the model may have 32 MiB, so no message of a conversation makes a longer line. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;

/** The CLI's process as the SDK wants it, and what we need of it ourselves. */
export interface StartedProcess {
  readonly forSdk: SpawnedProcess;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  /** Null when it was gone before it could be looked at. */
  readonly identity: ProcessIdentity | null;
  /** The newest 4,000 characters of stderr. */
  stderr(): string;
  /** Why the process was never given its first input; null when it was. */
  refusal(): string | null;
  /** Why we ended the process because of what it said; null when it was not so. */
  broken(): string | null;
}

/**
 * Starts the jailed CLI. Whatever the SDK writes waits until `spawned` has resolved: the process
 * must be on record before it can do anything. If `spawned` fails, the process is killed; also when
 * it writes a line of more than 32 MiB.
 */
export function startProcess(
  command: JailedCommand,
  processes: Processes,
  spawned: (identity: ProcessIdentity) => Promise<void>,
): StartedProcess {
  const child = spawn(command.file, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const input = new PassThrough();
  let stderr = "";
  child.stderr.on("data", (piece: Buffer) => {
    stderr = (stderr + piece.toString("utf8")).slice(-STDERR_CHARS_MAX);
  });
  // The process may be gone while the SDK still writes; its exit tells the story.
  child.stdin.on("error", () => input.resume());
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
    // Somebody else may hold the pipes open; the end of stderr is not worth waiting for them.
    child.once("exit", () => setTimeout(resolve, STDERR_MS_MAX).unref());
  });
  const identity = child.pid === undefined ? null : processes.identify(child.pid);
  let refusal: string | null = null;
  const refuse = async (error: unknown, process: ProcessIdentity): Promise<void> => {
    refusal = `the start was not recorded: ${error instanceof Error ? error.message : "failed"}`;
    await processes.end(process);
  };
  const notEnded = (error: unknown): void => {
    stderr += ` ${error instanceof Error ? error.message : "the process could not be ended"}`;
  };
  if (identity !== null) {
    spawned(identity)
      .then(
        () => void input.pipe(child.stdin),
        (error: unknown) => refuse(error, identity),
      )
      .catch(notEnded);
  }
  let broken: string | null = null;
  const output = boundedLines(LINE_BYTES_MAX, () => {
    broken = `the CLI wrote a line of more than ${LINE_BYTES_MAX} bytes`;
    if (identity === null) child.kill("SIGKILL");
    else processes.end(identity).catch(notEnded);
  });
  child.stdout.on("error", () => output.end()).pipe(output);
  return {
    forSdk: asSpawned(child, input, output),
    exited,
    identity,
    stderr: () => stderr.trim(),
    refusal: () => refusal,
    broken: () => broken,
  };
}

/** The child as the SDK sees it, with pipes of ours in between. */
function asSpawned(child: ChildProcess, stdin: Writable, stdout: Readable): SpawnedProcess {
  return {
    stdin,
    stdout,
    get killed() {
      return child.killed;
    },
    get exitCode() {
      return child.exitCode;
    },
    get signalCode() {
      return child.signalCode;
    },
    kill: (signal) => child.kill(signal),
    on: child.on.bind(child) as SpawnedProcess["on"],
    once: child.once.bind(child) as SpawnedProcess["once"],
    off: child.off.bind(child) as SpawnedProcess["off"],
  };
}
