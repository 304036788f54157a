import type { Command } from "commander";
import { configJsonSchema } from "../config/known-keys.ts";
import { type ConfigResult, loadConfig } from "../config/load-config.ts";
import { formatProblem } from "../config/problem.ts";
import { effectiveDocument, showConfig } from "../config/show-config.ts";
import type { CommandSetting } from "./context.ts";
import { type CliContext, EXIT_DONE, EXIT_USAGE } from "./context.ts";
import { refusedConfig } from "./refused-config.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

/** `config check|schema|show`: works without a running service. */
export function addConfigCommands(program: Command, { context, exit }: CommandSetting): void {
  const config = program.command("config").description("the configuration file");
  const check = config
    .command("check")
    .description("say whether the configuration holds, and what is wrong with it")
    .option("--json", "print the result as JSON")
    .action(async () => {
      const options: Options = check.optsWithGlobals();
      const result = await withSessionNotices(await load(context, options));
      exit(result.ok ? EXIT_DONE : EXIT_USAGE);
      if (options.json === true) {
        context.print(`${JSON.stringify(checkResult(result))}\n`);
        return;
      }
      printCheck(context, result);
    });
  config
    .command("schema")
    .description("print the JSON schema of the configuration")
    .option("--json", "accepted; the schema is JSON anyway")
    .action(() => context.print(`${JSON.stringify(configJsonSchema(), null, 2)}\n`));
  const show = config
    .command("show")
    .description("print the effective configuration; secrets only as references")
    .option("--json", "print JSON instead of YAML")
    .action(async () => {
      const options: Options = show.optsWithGlobals();
      const result = await load(context, options);
      if (!result.ok) {
        throw refusedConfig(result);
      }
      context.print(
        options.json === true
          ? `${JSON.stringify(effectiveDocument(result.config))}\n`
          : showConfig(result.config),
      );
    });
}

async function load(context: CliContext, options: Options): Promise<ConfigResult> {
  return await loadConfig({ ...context, explicitPath: options.config ?? null });
}

/** Adds what the configuration changes for the sessions of its state directory. */
async function withSessionNotices(result: ConfigResult): Promise<ConfigResult> {
  if (!result.ok) return result;
  // Loaded only here: it reads the service's database.
  const { sessionNotices } = await import("../main/session-notices.ts");
  return { ...result, notices: [...result.notices, ...sessionNotices(result.config)] };
}

function checkResult(result: ConfigResult): Readonly<Record<string, unknown>> {
  return result.ok
    ? { ok: true, file: result.config.file, problems: [], notices: result.notices }
    : { ok: false, file: result.file, problems: result.problems, notices: [] };
}

function printCheck(context: CliContext, result: ConfigResult): void {
  if (!result.ok) {
    for (const problem of result.problems) {
      context.printError(`${formatProblem(problem, result.file)}\n`);
    }
    return;
  }
  for (const notice of result.notices) {
    context.print(`note: ${notice.message}\n`);
  }
  context.print(`${result.config.file}: ok\n`);
}
