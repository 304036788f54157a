import type { Command } from "commander";
import { readConfig } from "../config/read-config.ts";
import {
  type CliContext,
  CliFailure,
  type CommandSetting,
  EXIT_DONE,
  EXIT_FAILED,
} from "./context.ts";
import { refusedConfig } from "./refused-config.ts";
import { toText } from "./text.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

/** `audit verify`: checks the record in the state directory by itself, with and without a running service. */
export function addAuditCommands(program: Command, { context, exit }: CommandSetting): void {
  const audit = program.command("audit").description("the record of what mattered");
  const verify = audit
    .command("verify")
    .description("say whether a line of the audit was edited, removed, moved or cut off")
    .option("--json", "print the result as JSON")
    .action(async () => {
      const options: Options = verify.optsWithGlobals();
      const report = await check(context, options.config);
      exit(report.problems.length === 0 ? EXIT_DONE : EXIT_FAILED);
      if (options.json === true) {
        const ok = report.problems.length === 0;
        context.print(`${JSON.stringify({ ok, ...report })}\n`);
        return;
      }
      for (const { file, line, text } of report.problems) {
        context.printError(`${place(file, line)}: ${toText(text)}\n`);
      }
      for (const { file, line, text } of report.notes) {
        context.print(`note: ${place(file, line)}: ${toText(text)}\n`);
      }
      context.print(`${summary(report)}\n`);
    });
}

/** The report of the audit in the configured state directory. */
type Report = Awaited<ReturnType<typeof check>>;

async function check(context: CliContext, configPath: string | undefined) {
  const read = await readConfig({ ...context, explicitPath: configPath ?? null });
  if (!read.ok) throw refusedConfig(read);
  // Loaded only here: the other commands need nothing of the service.
  const { checkAudit } = await import("../main/audit-note.ts");
  try {
    return await checkAudit(read.value.stateDir);
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new CliFailure(`the audit cannot be checked: ${words}`, { cause: error });
  }
}

function place(file: string, line: number | null): string {
  return line === null ? toText(file) : `${toText(file)}:${line}`;
}

function summary({ files, lines, first, last, noted, problems }: Report): string {
  const range = lines === 0 ? "no line" : `${lines} lines (${first} to ${last})`;
  const known = noted === null ? "" : `, the database knows of ${noted.count}`;
  const end = problems.length === 0 ? "ok" : `${problems.length} problems`;
  return `audit: ${range} in ${files} files${known}: ${end}`;
}
