import type { Command } from "commander";
import { loadConfig } from "../config/load-config.ts";
import { CliFailure, type CommandSetting, EXIT_DONE, EXIT_USAGE } from "./context.ts";
import { refusedConfig } from "./refused-config.ts";
import { toText } from "./text.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

/** `migrate sqlite-to-postgres`: works while the service is stopped. */
export function addMigrateCommands(program: Command, { context, exit }: CommandSetting): void {
  const migrate = program.command("migrate").description("move what the service keeps");
  const command = migrate
    .command("sqlite-to-postgres")
    .description("copy everything into the PostgreSQL database of the configuration")
    .option("--json", "print the result as JSON")
    .action(async () => {
      const options: Options = command.optsWithGlobals();
      const loaded = await loadConfig({ ...context, explicitPath: options.config ?? null });
      if (!loaded.ok) throw refusedConfig(loaded);
      if (loaded.config.database === null) {
        throw new CliFailure(
          "database is null: write the address of the PostgreSQL database to copy to into the configuration",
          { exitCode: EXIT_USAGE },
        );
      }
      // Loaded only here: the other commands need nothing of the service.
      const { migrateDatabase } = await import("../main/migrate-database.ts");
      const isJson = options.json === true;
      const migrated = await migrateDatabase(loaded.config, {
        onTable: ({ table, rows }) => {
          if (!isJson) context.print(`${table.padEnd(20)}${String(rows).padStart(10)} rows\n`);
        },
      }).catch((error: unknown) => {
        throw new CliFailure(error instanceof Error ? error.message : String(error), {
          cause: error,
        });
      });
      exit(EXIT_DONE);
      context.print(
        isJson
          ? `${JSON.stringify({ ok: true, ...migrated })}\n`
          : `copied and counted; ${toText(migrated.target)} holds it now. claude-hooks.db stays as it is and is no longer used; start the service.\n`,
      );
    });
}
