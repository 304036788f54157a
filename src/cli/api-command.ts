import { type Command, InvalidArgumentError } from "commander";
import { type AdminApi, connect } from "./admin-api.ts";
import { type CliContext, CliFailure, type CommandSetting } from "./context.ts";
import { toText } from "./text.ts";

/** A command that is one call of the admin API: what to ask, and how to show the answer to people. */
export interface ApiCall {
  readonly ask: (api: AdminApi) => Promise<unknown>;
  /** What to do when the service could not be asked or did not do it; without it the command fails. */
  readonly orElse?: (
    context: CliContext,
    configPath: string | undefined,
    failure: CliFailure,
  ) => Promise<unknown>;
  readonly show: (context: CliContext, answer: unknown) => void;
}

interface ApiOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Adds `--json` to a command and runs it; `--json` prints the service's answer as it is. */
export function asApiCommand(
  command: Command,
  { context }: CommandSetting,
  callOf: (args: readonly string[], options: Readonly<Record<string, unknown>>) => ApiCall,
): Command {
  return command
    .option("--json", "print the service's answer as JSON")
    .action(async (...all: unknown[]) => {
      const args = all.slice(0, -2).map((arg) => (typeof arg === "string" ? arg : ""));
      const options: ApiOptions & Record<string, unknown> = command.optsWithGlobals();
      const call = callOf(args, options);
      const answer = await asked(call, context, options.config);
      if (options.json === true) {
        context.print(`${JSON.stringify(answer ?? {})}\n`);
        return;
      }
      call.show(context, answer);
    });
}

async function asked(
  call: ApiCall,
  context: CliContext,
  configPath: string | undefined,
): Promise<unknown> {
  try {
    return await call.ask(await connect(context, configPath));
  } catch (error) {
    if (call.orElse === undefined || !(error instanceof CliFailure)) throw error;
    return await call.orElse(context, configPath, error);
  }
}

/** Adds `--limit` and `--before`, which every list has. */
export function withPages(command: Command): Command {
  return command
    .option("--limit <n>", "how many rows, 1 to 200", parseLimit)
    .option("--before <cursor>", "the rows before this one, as the last page has named it");
}

/** The query of a list, e.g. `?limit=50&before=17`, or nothing. */
export function pageQuery(options: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams();
  for (const name of ["limit", "before"]) {
    if (options[name] !== undefined) {
      query.set(name, String(options[name]));
    }
  }
  return query.size === 0 ? "" : `?${query}`;
}

/** Says how to read on when a list has more rows. */
export function printNext(context: CliContext, next: string | null | undefined): void {
  if (next !== null && next !== undefined) {
    context.print(`more: --before ${toText(next)}\n`);
  }
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d{1,3}$/.test(text) || limit < 1 || limit > 200) {
    throw new InvalidArgumentError("Write a whole number from 1 to 200.");
  }
  return limit;
}
