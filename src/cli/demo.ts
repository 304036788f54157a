import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { CommandSetting } from "./context.ts";
import { type CliContext, CliFailure, EXIT_FAILED } from "./context.ts";

/** `demo`: the whole loop of one issue on an embedded forge, as a process of its own. */
export function addDemoCommand(program: Command, { context, exit }: CommandSetting): void {
  program
    .command("demo")
    .description("show the whole loop of one issue on an embedded forge")
    .option("--keep", "stay up when it is done")
    .option("--live", "use a real model with the key from ANTHROPIC_API_KEY")
    .option("--json", "print JSON lines")
    .action(async (options: Readonly<Record<string, unknown>>) => {
      const flags = ["keep", "live", "json"]
        .filter((name) => options[name] === true)
        .map((name) => `--${name}`);
      exit(await startDemo(context, flags));
    });
}

/** Starts the demo with this process's own streams; resolves with its exit code, 1 when a signal ended it. */
function startDemo(context: CliContext, flags: readonly string[]): Promise<number> {
  const file = fileURLToPath(new URL("../../demo/main.ts", import.meta.url));
  if (!existsSync(file)) {
    throw new CliFailure(`this installation has no demo: ${file} does not exist`);
  }
  return new Promise((resolve, reject) => {
    const child = spawn(context.interpreter, [file, ...flags], {
      stdio: "inherit",
      cwd: context.cwd,
      env: { ...context.env },
    });
    // Told to stop, the demo stops first; this process ends with it.
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    process.once("SIGTERM", forward);
    process.on("SIGINT", ignoreInterrupt);
    child.on("error", reject);
    child.on("exit", (code) => {
      process.off("SIGTERM", forward);
      process.off("SIGINT", ignoreInterrupt);
      resolve(code ?? EXIT_FAILED);
    });
  });
}

function ignoreInterrupt(): void {
  // The terminal has sent it to the demo, too, which ends by it.
}
