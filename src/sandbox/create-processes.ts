import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { Processes, ProcessIdentity } from "../ports/jail.ts";

const LOOK_MS = 20;
/** 10 s: a process that survives SIGKILL so long hangs in the kernel, and waiting helps nobody. */
const LOOKS_MAX = 500;
const STOP_LOOK_MS = 2;
const STOP_LOOKS_MAX = 25;
const TAG = /^[A-Z_]+=[0-9a-f]{32}$/;
/** Stopped, a zombie, or gone. */
const STILL = new Set(["T", "t", "Z", "X"]);

interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly startTicks: string;
}

/** A process that did not go away after SIGKILL. */
class ProcessStuck extends Error {
  override readonly name = "ProcessStuck";
}

/**
 * Looks at processes through /proc (Linux, proc(5): fields 3, 4 and 22 of /proc/<pid>/stat).
 * A zombie counts as gone: it does nothing any more and waits for its parent only.
 */
export function createProcesses(): Processes {
  const identify = (pid: number): ProcessIdentity | null => {
    const stat = statOf(pid);
    return stat === null ? null : { pid, startTicks: stat.startTicks, bootId: bootId() };
  };
  const isAlive = (identity: ProcessIdentity): boolean => {
    const stat = statOf(identity.pid);
    return (
      stat !== null &&
      stat.startTicks === identity.startTicks &&
      stat.state !== "Z" &&
      stat.state !== "X" &&
      identity.bootId === bootId()
    );
  };
  return {
    identify,
    isAlive,
    async end(target) {
      if (!isAlive(target)) return;
      let tree: readonly ProcessIdentity[] = [target];
      for (let look = 0; look < LOOKS_MAX; look += 1) {
        // All stand still before they are counted: bubblewrap killed while it forks would leave a
        // child without a parent that nobody finds any more (seen with bubblewrap 0.8.0).
        await stopAll(tree);
        const started = descendants(tree.map(({ pid }) => pid)).flatMap(
          (pid) => identify(pid) ?? [],
        );
        // A zombie stays listed until its parent, which stands still, reaps it: it is no growth.
        const grown = started.filter(
          (one) => isAlive(one) && tree.every((known) => known.pid !== one.pid),
        );
        tree = [...tree, ...grown].filter(isAlive);
        if (tree.length === 0) return;
        if (grown.length > 0) continue;
        for (const { pid } of tree) signal(pid, "SIGKILL");
        await wait(LOOK_MS);
      }
      throw new ProcessStuck(`process ${target.pid} is still there after SIGKILL`);
    },
    async endTagged(tag) {
      // Anything shorter could be true of processes that are not ours.
      if (!TAG.test(tag)) throw new Error(`${tag} is no tag of a jail`);
      const seen = new Set<number>();
      // By the time and not by the looks: what is found says itself how long reading it takes.
      const end = performance.now() + LOOK_MS * LOOKS_MAX;
      while (performance.now() < end) {
        const found = withTag(tag);
        if (found.length === 0) return seen.size;
        for (const pid of found) {
          seen.add(pid);
          signal(pid, "SIGKILL");
        }
        await wait(LOOK_MS);
      }
      throw new ProcessStuck(`processes ${withTag(tag).join(", ")} are still there after SIGKILL`);
    },
  };
}

/** SIGSTOP takes effect when a system call returns; one that waits for its own child never does. */
async function stopAll(tree: readonly ProcessIdentity[]): Promise<void> {
  for (const { pid } of tree) signal(pid, "SIGSTOP");
  for (let look = 0; look < STOP_LOOKS_MAX; look += 1) {
    if (tree.every(({ pid }) => STILL.has(statOf(pid)?.state ?? "X"))) return;
    await wait(STOP_LOOK_MS);
  }
}

/** Everything started by the given pids, directly or not, as long as the chain of parents holds. */
function descendants(roots: readonly number[]): readonly number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const parent = statOf(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = new Set<number>();
  const open = [...roots];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (found.has(child)) continue;
      found.add(child);
      open.push(child);
    }
  }
  return [...found];
}

/** Whose environment, as it was at its start, has `tag`; those of other users cannot be read and are not ours. */
function withTag(tag: string): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter(
      (pid) => environOf(pid).includes(tag) && !["Z", "X", undefined].includes(statOf(pid)?.state),
    );
}

function environOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
  } catch {
    // Gone, or somebody else's.
    return [];
  }
}

function signal(pid: number, name: "SIGSTOP" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // Gone between the look and the signal is what we wanted.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** The name of the program, in parentheses, may hold anything: fields are counted behind the last one. */
function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return {
      state: fields[0] ?? "X",
      parent: Number(fields[1]),
      startTicks: fields[19] ?? "",
    };
  } catch {
    // No such process, or it ended while being read.
    return null;
  }
}

const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
