import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from "node:fs";
import { constants as os } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { JsonFailure, parseJson } from "../json/parse.ts";
import { tryFlock } from "./flock.ts";

/** The name of the lock file in the state directory; it stays there, held or not. */
const LOCK_NAME = "serve.lock";

const CONTENT_BYTES_MAX = 1024;

/** How long a lock may outlive its holder, and how often it is tried meanwhile. */
const LINGERING_MS_MAX = 5000;
const LOOK_MS = 20;

const holderSchema = z.object({
  pid: z.number().int(),
  version: z.string(),
  started_at: z.string(),
});

/** Who holds the lock, as it wrote itself down. */
type Holder = z.infer<typeof holderSchema>;

/** The lock of a state directory, or why it cannot be had, with the remedy. */
export type StateDirLock =
  | { readonly ok: true; release(): void }
  | { readonly ok: false; readonly problem: string };

/**
 * Takes the lock of the state directory for the life of this process, without waiting; `startedAt` is
 * epoch ms. The kernel frees it when the process ends, however it ends, and children do not inherit
 * it (Bun opens with O_CLOEXEC), so the next start takes over after kill -9. Waits only for a holder
 * that has ended already, 5 s at most; a living one is named at once. Never throws for what lies in the directory: that is a `problem`.
 */
export function lockStateDir(options: {
  readonly stateDir: string;
  readonly pid: number;
  readonly version: string;
  readonly startedAt: number;
}): StateDirLock {
  const { stateDir, pid, version, startedAt } = options;
  const path = join(stateDir, LOCK_NAME);
  let file: number | null = null;
  try {
    file = openLockFile(path);
    const refused = checkOwner(file, path) ?? lock(file, stateDir, path);
    if (refused !== null) {
      closeSync(file);
      return { ok: false, problem: refused };
    }
    const held = file;
    const content: Holder = { pid, version, started_at: new Date(startedAt).toISOString() };
    fchmodSync(held, 0o600);
    ftruncateSync(held, 0);
    writeSync(held, `${JSON.stringify(content)}\n`, 0);
    return {
      ok: true,
      release() {
        // The file stays: whoever removed it could remove it from under the next holder.
        ftruncateSync(held, 0);
        closeSync(held);
      },
    };
  } catch (error) {
    if (file !== null) closeSync(file);
    const problem = error instanceof Error ? error.message : String(error);
    return {
      ok: false,
      problem: `state_dir ${stateDir} cannot be locked: ${problem}; make it a directory of a local file system that the service's user may write, and ${LOCK_NAME} in it an ordinary file`,
    };
  }
}

function openLockFile(path: string): number {
  // A link could make us truncate what it names; a pipe could hold the start for ever.
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  return openSync(path, flags, 0o600);
}

/** What is ours is an ordinary file of one name: writing into it can then harm nobody else's. */
function checkOwner(file: number, path: string): string | null {
  const stat = fstatSync(file);
  const isForeign = stat.uid !== process.getuid?.();
  if (stat.isFile() && !isForeign && stat.nlink === 1) return null;
  const what = isForeign ? `belongs to another user (uid ${stat.uid})` : "is no ordinary file";
  return `${path} ${what}: remove it, and look who may write in that directory`;
}

/** Null when the lock is held now. */
function lock(file: number, stateDir: string, path: string): string | null {
  const errno = tryPatiently(file);
  if (errno === null) return null;
  if (errno !== os.errno.EWOULDBLOCK) {
    return `state_dir ${stateDir} cannot be locked: flock of ${path} failed with errno ${errno}; use a local file system`;
  }
  const holder = readHolder(file);
  if (holder === null) return `state_dir ${stateDir} is served by another process: stop it first`;
  return `state_dir ${stateDir} is served by pid ${holder.pid} since ${holder.started_at} (version ${holder.version}): stop it first`;
}

/**
 * Refused by a living holder at once. One that has ended may hold it for a moment longer: a child that
 * was just being started has a copy of its descriptors until it becomes another program (seen once in
 * 540 kills on a machine that was busy beyond its means).
 */
function tryPatiently(file: number): number | null {
  const end = performance.now() + LINGERING_MS_MAX;
  for (;;) {
    const errno = tryFlock(file);
    if (errno !== os.errno.EWOULDBLOCK || performance.now() > end) return errno;
    const holder = readHolder(file);
    if (holder === null || !hasEnded(holder.pid)) return errno;
    Bun.sleepSync(LOOK_MS);
  }
}

/** Also true for one whose last threads are still ending. */
function hasEnded(pid: number): boolean {
  try {
    const [, state = ""] =
      /^\d+ \(.*\) (\w)/su.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return ["Z", "X"].includes(state);
  } catch (error) {
    return isMissing(error);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && ["ENOENT", "ESRCH"].includes(`${error.code}`);
}

/** Null when it does not say, e.g. because the holder has only just taken it. */
function readHolder(file: number): Holder | null {
  const bytes = Buffer.alloc(CONTENT_BYTES_MAX);
  const length = readSync(file, bytes, 0, bytes.length, 0);
  try {
    const parsed = holderSchema.safeParse(parseJson(bytes.toString("utf8", 0, length)));
    return parsed.success ? parsed.data : null;
  } catch (error) {
    if (error instanceof JsonFailure) return null;
    throw error;
  }
}
