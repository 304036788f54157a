import { Command } from "commander";
import { addAuditCommands } from "./audit.ts";
import { addConfigCommands } from "./config.ts";
import type { CliContext, CommandSetting } from "./context.ts";
import { addDeliveriesCommands } from "./deliveries.ts";
import { addDemoCommand } from "./demo.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addItemsCommands } from "./items.ts";
import { addMigrateCommands } from "./migrate.ts";
import { addPauseCommands } from "./pause.ts";
import { addRunsCommands } from "./runs.ts";
import { addServeCommand } from "./serve.ts";
import { addSessionsCommands } from "./sessions.ts";
import { addStatusCommand } from "./status.ts";
import { addVersionCommand } from "./version.ts";

/** All commands of `claude-hooks`. Wrong usage is thrown as CommanderError, never an exit of the process. */
export function createProgram(context: CliContext, exit: (code: number) => void): Command {
  const program = new Command("claude-hooks")
    .description("Lets Claude agents work as colleagues on a forge")
    .option("--config <file>", "configuration file")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: context.print,
      writeErr: context.printError,
      getOutHasColors: () => context.colour,
      getErrHasColors: () => false,
    })
    .showHelpAfterError("(claude-hooks --help lists the commands)")
    .exitOverride();
  const setting: CommandSetting = { context, exit };
  addServeCommand(program, setting);
  addDemoCommand(program, setting);
  addDoctorCommand(program, setting);
  addStatusCommand(program, setting);
  addItemsCommands(program, setting);
  addRunsCommands(program, setting);
  addSessionsCommands(program, setting);
  addDeliveriesCommands(program, setting);
  addPauseCommands(program, setting);
  addConfigCommands(program, setting);
  addAuditCommands(program, setting);
  addMigrateCommands(program, setting);
  addVersionCommand(program, setting);
  return program;
}
