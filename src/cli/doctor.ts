import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { loadConfig } from "../config/load-config.ts";
import { readSecret } from "../config/secret.ts";
import {
  type CliContext,
  CliFailure,
  type CommandSetting,
  EXIT_DONE,
  EXIT_FAILED,
  EXIT_USAGE,
} from "./context.ts";
import { refusedConfig } from "./refused-config.ts";
import { styled } from "./style.ts";
import { toLines, toText } from "./text.ts";

interface Options {
  readonly config?: string;
  readonly json?: boolean;
  readonly adminTokenFile?: string;
  readonly timeLimit: number;
}

/** Enough for a forge that answers at its ease, and for one that does not answer to be told so. */
const TIME_LIMIT_SECONDS = 60;
const TIME_LIMIT_SECONDS_MAX = 3600;

/** `doctor`: proves a set-up, with and without a running service, and says how to mend what it finds. */
export function addDoctorCommand(program: Command, { context, exit }: CommandSetting): void {
  const command = program
    .command("doctor")
    .description("look at the whole set-up, and say how to mend what is wrong with it")
    .option(
      "--admin-token-file <file>",
      "token of a repository's administrator: to read hooks and rules, for this call only",
    )
    .option(
      "--time-limit <seconds>",
      "how long the forge is asked; what it has not answered by then is not checked",
      toSeconds,
      TIME_LIMIT_SECONDS,
    )
    .option("--json", "print the findings as JSON")
    .action(async () => {
      const options: Options = command.optsWithGlobals();
      const loaded = await loadConfig({ ...context, explicitPath: options.config ?? null });
      if (!loaded.ok) throw refusedConfig(loaded);
      const adminToken = await readAdminToken(context, options.adminTokenFile);
      // Loaded only here: the other commands need nothing of the service.
      const { runDoctor } = await import("../main/doctor/run-doctor.ts");
      const { config, notices } = loaded;
      const { uid } = context;
      // The real one and no copy: what is written there is what fetch goes by.
      const { env } = process;
      const limitMs = options.timeLimit * 1000;
      const findings = await runDoctor({ config, notices, adminToken, uid, env, limitMs });
      const ok = !findings.some(({ state }) => state === "problem");
      exit(ok ? EXIT_DONE : EXIT_FAILED);
      if (options.json === true) context.print(`${JSON.stringify({ ok, findings })}\n`);
      else printFindings(context, findings);
    });
}

function toSeconds(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= TIME_LIMIT_SECONDS_MAX) {
    return seconds;
  }
  throw new InvalidArgumentError(`Write a whole number from 1 to ${TIME_LIMIT_SECONDS_MAX}.`);
}

async function readAdminToken(
  { cwd }: CliContext,
  file: string | undefined,
): Promise<string | null> {
  if (file === undefined) return null;
  const answer = await readSecret({ file: resolve(cwd, file) }, {});
  if (answer.ok) return answer.secret.reveal();
  throw new CliFailure(`--admin-token-file names ${answer.value}: ${answer.remedy}`, {
    exitCode: EXIT_USAGE,
  });
}

/** A finding as the doctor gives it. */
interface Finding {
  readonly id: string;
  readonly agent: string | null;
  readonly repo: string | null;
  readonly state: "ok" | "warning" | "problem" | "not_checked";
  readonly found: string;
  readonly remedy: string | null;
}

const STATES = {
  problem: { word: "problem", style: "red", many: "problems" },
  warning: { word: "warning", style: "yellow", many: "warnings" },
  not_checked: { word: "not checked", style: "dim", many: "not checked" },
  ok: { word: "ok", style: "green", many: "ok" },
} as const;
const WORD_WIDTH = 11;

/** One line for each finding, its remedy on the next; words of the forge cannot steer the terminal. */
function printFindings(context: CliContext, findings: readonly Finding[]): void {
  const width = Math.max(...findings.map(({ id }) => id.length));
  for (const finding of findings) {
    const { word, style } = STATES[finding.state];
    const about = aboutOf(finding);
    const state = styled(context, style, word.padEnd(WORD_WIDTH));
    context.print(`${state}  ${finding.id.padEnd(width)}  ${about}${line(finding.found)}\n`);
    if (finding.remedy === null) continue;
    context.print(`${" ".repeat(WORD_WIDTH + width + 4)}to mend: ${line(finding.remedy)}\n`);
  }
  const counts = Object.entries(STATES).map(([state, { word, many }]) => {
    const count = findings.filter((finding) => finding.state === state).length;
    return `${count} ${count === 1 ? word : many}`;
  });
  context.print(`doctor: ${counts.join(", ")}\n`);
}

/** What the words do not say by themselves. */
function aboutOf({ repo, agent, found }: Finding): string {
  const parts = [repo, agent].filter((part) => part !== null && !found.includes(part));
  return parts.length === 0 ? "" : `${toText(parts.join(" "))}: `;
}

/** All of it on one line: a remedy that is cut off is none. */
function line(text: string): string {
  return toLines(text).replace(/\s+/gu, " ");
}
