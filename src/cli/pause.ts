import type { Command } from "commander";
import { asApiCommand } from "./api-command.ts";
import { CliFailure, type CommandSetting, EXIT_USAGE } from "./context.ts";

/** `pause [scope]` and `resume [scope]`: hold or let go the runs of everything, a repository or an agent. */
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
          show: (context) => context.print(`${said} ${scope === "" ? "everything" : scope}\n`),
        };
      },
    );
  }
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
