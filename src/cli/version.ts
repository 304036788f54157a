import type { Command } from "commander";
import packageFile from "../../package.json" with { type: "json" };
import type { CommandSetting } from "./context.ts";

/** `version`: the version of this installation. */
export function addVersionCommand(program: Command, { context }: CommandSetting): void {
  program
    .command("version")
    .description("print the version")
    .option("--json", "print JSON")
    .action((options: { readonly json?: boolean }) => {
      const { version } = packageFile;
      context.print(
        options.json === true ? `${JSON.stringify({ version })}\n` : `claude-hooks ${version}\n`,
      );
    });
}
