import type { AgentEvent } from "../../src/ports/agent.ts";
import type { Stop } from "../../src/run/watch-run.ts";
import type { Respond } from "../support/agent-world.ts";
import { commandsOf, treeOf } from "../support/process-tree.ts";
import type { Provoked } from "./stage.ts";

const SLEEP = "sleep 300";
const PATIENCE_MS = 20_000;

/** A model whose first call does not come back by itself. */
export const SLEEPING: Respond = () => ({
  text: "I begin.",
  tools: [{ name: "Bash", input: { command: SLEEP } }],
});

/**
 * Ends the CLI by a signal at the first event of that kind; for a tool, once it runs. SIGKILL meets
 * the process the service started, SIGTERM the CLI in its jail.
 */
export function killing(signal: "SIGKILL" | "SIGTERM", at: AgentEvent["kind"]): Provoked {
  let pid = 0;
  let isDone = false;
  const kill = async (): Promise<void> => {
    if (at === "tool") await until(async () => (await commands(pid)).includes(SLEEP));
    const tree = await treeOf(pid);
    const lines = await commandsOf(tree);
    const cli = tree.find((_, index) => /^\S*\/claude .*stream-json/.test(lines[index] ?? ""));
    const target = signal === "SIGKILL" ? pid : cli;
    if (target === undefined) throw new Error(`no CLI among ${lines.join("\n")}`);
    process.kill(target, signal);
  };
  return {
    wish: {
      spawned: (started) => {
        pid = started.pid;
        return Promise.resolve();
      },
      heard: ({ kind }) => {
        if (kind !== at || isDone) return;
        isDone = true;
        kill().catch((error: unknown) => console.error(error));
      },
    },
  };
}

/** Stops the run as its watch would, once the tool runs or the condition holds. */
export function stopping(stop: Stop, when: "tool" | (() => boolean)): Provoked {
  const controller = new AbortController();
  let stopped: Stop | null = null;
  let pid = 0;
  const isTime = async (): Promise<boolean> =>
    when === "tool" ? (await commands(pid)).includes(SLEEP) : when();
  const wait = async (): Promise<void> => {
    await until(isTime);
    stopped = stop;
    controller.abort();
  };
  return {
    stop: () => stopped,
    wish: {
      signal: controller.signal,
      spawned: (started) => {
        pid = started.pid;
        wait().catch((error: unknown) => console.error(error));
        return Promise.resolve();
      },
    },
  };
}

async function commands(pid: number): Promise<readonly string[]> {
  return await commandsOf(await treeOf(pid));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited for ${PATIENCE_MS} ms in vain`);
    await Bun.sleep(20);
  }
}
