import { type AgentProcess, type Agents, killNow } from "./agents.ts";
import type { Load } from "./load.ts";
import { type Life, type Line, startLife } from "./service.ts";
import type { Weakness } from "./weaken.ts";

/** One service, in all its lives. */
export interface ChaosService {
  readonly name: string;
  readonly lines: readonly Line[];
  /** Ids of the runs for which it has started a CLI. */
  readonly runs: ReadonlySet<string>;
  /** Starts a life; with `wait` it resolves when deliveries are taken in. */
  start(wait: boolean): Promise<void>;
  agentsAlive(): readonly AgentProcess[];
  kill(): Promise<void>;
  killAgents(): Promise<number>;
  /** Until its next start nothing is sent to it: people know that it is away. */
  leave(): void;
}

/** The service in the directory `dir`, which holds its configuration, as part of a world. */
export function chaosService(given: {
  readonly name: string;
  readonly dir: string;
  readonly configPath: string;
  readonly weakness: Weakness | null;
  /** Path of what the next life takes for the CLI; "" is the real one. */
  readonly binary: () => string;
  readonly agents: Agents;
  readonly load: Load;
}): ChaosService {
  const { name, dir, configPath, weakness, agents, load } = given;
  const lines: Line[] = [];
  const runs = new Set<string>();
  let life: Life | null = null;
  const onLine = (line: Line): void => {
    lines.push(line);
    if (process.env["CHAOS_LOG"] === "1") console.error(name, JSON.stringify(line));
    if (line.msg !== "cli started") return;
    runs.add(String(line["run"]));
    agents.started(line, name);
  };
  return {
    name,
    lines,
    runs,
    start: async (wait) => {
      load.to(name, null);
      const begun = startLife({ dir, configPath, binary: given.binary(), weakness, onLine });
      life = begun;
      if (wait) load.to(name, (await begun.ready()).webhook);
    },
    agentsAlive: () => agents.alive(name),
    kill: async () => {
      if (life === null) return;
      load.to(name, null);
      killNow(life.pid);
      await life.exited;
    },
    killAgents: async () => await agents.kill(name),
    leave: () => load.notTo(name),
  };
}
