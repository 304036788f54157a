import { readdir, readFile } from "node:fs/promises";

/** Pids of all processes that were started by `pid`, directly or not, and of itself. */
export async function treeOf(pid: number): Promise<readonly number[]> {
  const parents = new Map<number, number>();
  for (const entry of await readdir("/proc")) {
    const child = Number(entry);
    if (!Number.isInteger(child)) continue;
    const stat = await readFile(`/proc/${child}/stat`, "latin1").catch(() => "");
    const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
    if (parent !== undefined) parents.set(child, Number(parent));
  }
  const found = [pid];
  for (const at of found) {
    for (const [child, parent] of parents) if (parent === at) found.push(child);
  }
  return found;
}

/** Their command lines, words joined by blanks; "" for one that is gone. */
export async function commandsOf(pids: readonly number[]): Promise<readonly string[]> {
  return await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return text.replaceAll("\0", " ").trim();
    }),
  );
}

/** Whether a process has this pid and is no zombie. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  const state = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[0] ?? "";
  return state !== "" && state !== "Z" && state !== "X";
}

/** Pids of other processes whose command line holds the text; its words end with a NUL each. */
export async function pidsWith(text: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const entry of await readdir("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes(text)) found.push(pid);
  }
  return found;
}
