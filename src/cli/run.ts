import { CommanderError } from "commander";
import { type CliContext, CliFailure, EXIT_DONE, EXIT_FAILED, EXIT_USAGE } from "./context.ts";
import { createProgram } from "./program.ts";

/** Runs the command line `args` (without interpreter and script); resolves with the exit code. */
export async function run(args: readonly string[], context: CliContext): Promise<number> {
  let exitCode = EXIT_DONE;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // The library has already said what is wrong, or printed the help that was asked for.
      return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
    }
    if (error instanceof CliFailure) {
      context.printError(`claude-hooks: ${error.message}\n`);
      return error.exitCode;
    }
    context.printError(`claude-hooks: ${String(error)}\n`);
    return EXIT_FAILED;
  }
}
