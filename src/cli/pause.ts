import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { readConfig } from "../config/read-config.ts";
import { Drain, readAnswer } from "./answers.ts";
import { asApiCommand } from "./api-command.ts";
import { type CliContext, CliFailure, type CommandSetting, EXIT_USAGE } from "./context.ts";

/** `pause [scope]` and `resume [scope]`: hold or let go the runs of everything, a repository or an agent; `drain`. */
export function addPauseCommands(program: Command, setting: CommandSetting): void {
  for (const [name, description, said] of [
    ["pause", "start no further runs (deliveries are still taken in)", "paused"],
    ["resume", "let runs start again", "resumed"],
  ] as const) {
    asApiCommand(
      program
        .command(name)
        .description(description)
        .argument("[scope]", "owner/repo or the name of an agent; without it everything"),
      setting,
      ([scope = ""]) => {
        const body = scopeBody(scope);
        return {
          ask: (api) => api.post(`/api/v1/${name}`, body),
          ...(name === "pause" && scope === "" && { orElse: pauseByFile }),
          show: (context) => context.print(`${said} ${scope === "" ? "everything" : scope}\n`),
        };
      },
    );
  }
  addDrainCommand(program, setting);
}

function addDrainCommand(program: Command, setting: CommandSetting): void {
  asApiCommand(
    program
      .command("drain")
      .description("start no further runs and end the living ones, until a restart or `resume`"),
    setting,
    () => ({
      ask: (api) => api.post("/api/v1/drain", {}),
      show: (context, answer) => {
        const { active } = readAnswer(Drain, answer);
        context.print(active === 0 ? "drained\n" : `draining: ${active} still running\n`);
      },
    }),
  );
}

function scopeBody(scope: string): Readonly<Record<string, string>> {
  if (scope === "") {
    return {};
  }
  if (/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/.test(scope)) {
    return { repo: scope };
  }
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(scope)) {
    return { agent: scope };
  }
  throw new CliFailure(
    `${JSON.stringify(scope.slice(0, 100))} is neither owner/repo nor the name of an agent`,
    { exitCode: EXIT_USAGE },
  );
}

/**
 * Pauses everything by the file that needs no service to answer: a running one looks at it twice a
 * second, one that is started later at once. Throws CliFailure when it cannot be written.
 */
async function pauseByFile(
  context: CliContext,
  configPath: string | undefined,
  failure: CliFailure,
): Promise<unknown> {
  const read = await readConfig({ ...context, explicitPath: configPath ?? null });
  if (!read.ok) throw failure;
  const file = join(read.value.stateDir, "paused");
  try {
    await (await open(file, "wx", 0o600)).close();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT") {
      throw new CliFailure(
        `there is nothing to pause: the state directory ${read.value.stateDir} does not exist, no service was started with this configuration yet`,
        { cause: error },
      );
    }
    if (code !== "EEXIST")
      throw new CliFailure(`${failure.message}; and ${file} cannot be written: ${String(error)}`, {
        cause: error,
      });
  }
  context.printError(`${failure.message}\neverything is held by the file ${file} all the same\n`);
  return { paused: true, pauses: [{ kind: "all" }] };
}
