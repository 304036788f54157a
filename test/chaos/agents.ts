import type { ProcessIdentity } from "../../src/ports/jail.ts";
import { createProcesses } from "../../src/sandbox/create-processes.ts";
import { treeOf } from "../support/process-tree.ts";
import type { Overlap } from "./record.ts";
import type { Line } from "./service.ts";

/** The CLI's process of one run. */
export interface AgentProcess {
  readonly number: number;
  readonly run: string;
  /** Name of the service that began it. */
  readonly by: string;
  readonly identity: ProcessIdentity;
}

/** Every CLI that a service has begun, stub or real one, by pid and start time. */
export interface Agents {
  /** Those of one work item that were alive at once, whatever service began them. */
  readonly overlaps: readonly Overlap[];
  alive(by: string): readonly AgentProcess[];
  /** Takes note of a line `cli started`. */
  started(line: Line, by: string): void;
  /** SIGKILL for those of a service, with all they have started; resolves with how many there were. */
  kill(by: string): Promise<number>;
}

/** Keeps the list from the services' lines. */
export function watchAgents(): Agents {
  const processes = createProcesses();
  const agents: AgentProcess[] = [];
  const overlaps: Overlap[] = [];
  const alive = (): readonly AgentProcess[] =>
    agents.filter(({ identity }) => processes.isAlive(identity));
  const of = (by: string): readonly AgentProcess[] => alive().filter((agent) => agent.by === by);
  return {
    overlaps,
    alive: of,
    started: (line, by) => {
      const identity = processes.identify(Number(line["pid"]));
      if (identity === null) return;
      const begun = { number: Number(line["number"]), run: String(line["run"]), identity, by };
      for (const { number, run, identity: other } of alive()) {
        if (number === begun.number && other.pid !== identity.pid) {
          overlaps.push({ number, older: run, newer: begun.run });
        }
      }
      agents.push(begun);
    },
    kill: async (by) => {
      const found = of(by);
      const trees = await Promise.all(found.map(({ identity }) => treeOf(identity.pid)));
      for (const pid of trees.flat()) killNow(pid);
      return found.length;
    },
  };
}

/** SIGKILL; nothing when there is no such process any more. */
export function killNow(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
