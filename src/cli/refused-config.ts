import { formatProblem } from "../config/problem.ts";
import type { ConfigRefused } from "../config/read-config.ts";
import { CliFailure, EXIT_USAGE } from "./context.ts";

/** A configuration that does not hold, as the end of a command: every problem on a line of its own. */
export function refusedConfig(refused: ConfigRefused): CliFailure {
  const lines = refused.problems.map((problem) => `  ${formatProblem(problem, refused.file)}`);
  return new CliFailure(`the configuration does not hold:\n${lines.join("\n")}`, {
    exitCode: EXIT_USAGE,
  });
}
