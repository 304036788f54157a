import { chmodSync, lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;
const EVERYBODY_WRITES = 0o002;
const PRIVATE = 0o700;
/** The operator's own stop, which root may have put there. */
const ANYBODYS = ["paused"];

/**
 * Looks whether the state directory is this user's (`uid`; null: the system has none) and nobody
 * else's, before anything in it is trusted. Returns what is wrong with it and the remedy, or null. One that others may only look
 * into is closed to them (0700). Throws what the file system says.
 */
export function checkStateDir(stateDir: string, uid: number | null): string | null {
  const problem = problemOfDir(stateDir, uid);
  if (problem !== null) return problem;
  if (isOpenToOthers(stateDir)) chmodSync(stateDir, PRIVATE);
  return problemOfEntries(stateDir, uid);
}

/** The same, but nothing is changed; `isOpen`: others may look into it, which the next start ends. */
export function lookAtStateDir(
  stateDir: string,
  uid: number | null,
): { readonly problem: string | null; readonly isOpen: boolean } {
  const problem = problemOfDir(stateDir, uid) ?? problemOfEntries(stateDir, uid);
  return { problem, isOpen: problem === null && isOpenToOthers(stateDir) };
}

function problemOfDir(stateDir: string, uid: number | null): string | null {
  const stats = statSync(stateDir);
  if (!stats.isDirectory()) {
    return `state_dir ${stateDir} is no directory: name one, or a place where one can be made`;
  }
  const { mode, uid: owner } = stats;
  if (uid !== null && owner !== uid) {
    return `state_dir ${stateDir} belongs to another user (uid ${owner}, the service is ${uid}): chown it, or name another directory`;
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    return `state_dir ${stateDir} may be written by others (mode ${octal(mode)}): look what lies in it, then chmod 700 it`;
  }
  const open = openParent(stateDir);
  if (open !== null) {
    return `state_dir ${stateDir}: everybody may rename what lies in ${open}: chmod o-w it, or name another directory`;
  }
  return null;
}

function isOpenToOthers(stateDir: string): boolean {
  return (statSync(stateDir).mode & 0o777) !== PRIVATE;
}

function problemOfEntries(stateDir: string, uid: number | null): string | null {
  return uid === null ? null : foreignEntry(stateDir, uid);
}

/** A directory above it that everybody may write and that is not sticky as /tmp is: who can write it can replace what is below. */
function openParent(stateDir: string): string | null {
  let path = realpathSync(stateDir);
  while (path !== dirname(path)) {
    path = dirname(path);
    const { mode } = statSync(path);
    if ((mode & EVERYBODY_WRITES) !== 0 && (mode & STICKY) === 0) return path;
  }
  return null;
}

function foreignEntry(stateDir: string, uid: number): string | null {
  for (const name of readdirSync(stateDir)) {
    const owner = lstatSync(join(stateDir, name), { throwIfNoEntry: false })?.uid ?? uid;
    if (owner !== uid && !ANYBODYS.includes(name)) {
      return `${join(stateDir, name)} belongs to another user (uid ${owner}): remove it, or chown it if you know where it is from`;
    }
  }
  return null;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
