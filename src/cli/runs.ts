import type { Command } from "commander";
import { Item, Run, RunList, readAnswer } from "./answers.ts";
import { asApiCommand, pageQuery, printNext, withPages } from "./api-command.ts";
import type { CliContext, CommandSetting } from "./context.ts";
import { type Column, printFields, printTable } from "./table.ts";
import { toText, toTime, toUsd } from "./text.ts";

/** `runs list|show|cancel|retry`. */
export function addRunsCommands(program: Command, setting: CommandSetting): void {
  const runs = program.command("runs").description("runs of agents");
  asApiCommand(
    withPages(runs.command("list").description("list runs, newest first")),
    setting,
    (_args, options) => ({
      ask: (api) => api.get(`/api/v1/runs${pageQuery(options)}`),
      show: (context, answer) => {
        const page = readAnswer(RunList, answer);
        printTable(context, RUN_COLUMNS, page.runs, "no runs");
        printNext(context, page.next);
      },
    }),
  );
  asApiCommand(
    runs.command("show").description("show one run").argument("<id>"),
    setting,
    ([id = ""]) => ({
      ask: (api) => api.get(`/api/v1/runs/${encodeURIComponent(id)}`),
      show: showRun,
    }),
  );
  const path = (id: string, verb: string) => `/api/v1/runs/${encodeURIComponent(id)}/${verb}`;
  asApiCommand(
    runs
      .command("cancel")
      .description("stop a living run and hold its work item until somebody acts")
      .argument("<id>"),
    setting,
    ([id = ""]) => ({ ask: (api) => api.post(path(id, "cancel"), {}), show: showRun }),
  );
  asApiCommand(
    runs
      .command("retry")
      .description("let the work item of a run that did not succeed go on")
      .argument("<id>"),
    setting,
    ([id = ""]) => ({
      ask: (api) => api.post(path(id, "retry"), {}),
      show: (context, answer) => {
        const item = readAnswer(Item, answer);
        context.print(`${toText(`${item.repo}#${item.number}`)} goes on\n`);
      },
    }),
  );
}

/** The columns in which runs are listed. */
export const RUN_COLUMNS: readonly Column<Run>[] = [
  { title: "RUN", text: (run) => toText(run.id) },
  { title: "ITEM", text: itemOf },
  { title: "AGENT", text: (run) => toText(run.agent) },
  { title: "SKILL", text: (run) => toText(run.skill) },
  { title: "OUTCOME", text: outcomeOf },
  { title: "STARTED", text: (run) => toTime(run.started_at) },
  { title: "COST", text: (run) => toUsd(run.usd) },
  { title: "REASON", text: (run) => toText(run.reason) },
];

function showRun(context: CliContext, answer: unknown): void {
  const run = readAnswer(Run, answer);
  printFields(context, [
    ["run", toText(run.id)],
    ["item", itemOf(run)],
    ["agent", toText(run.agent)],
    ["skill", toText(run.skill)],
    ["attempt", toText(run.attempt)],
    ["session", toText(run.session)],
    ["resumed", toText(run.resumed)],
    ["outcome", outcomeOf(run)],
    ["reason", toText(run.reason)],
    ["started", toTime(run.started_at)],
    ["ended", toTime(run.ended_at)],
    ["cost", toUsd(run.usd)],
  ]);
}

/** A run without an outcome is still going on. */
function outcomeOf(run: Run): string {
  return toText(run.outcome ?? "running");
}

function itemOf(run: Run): string {
  return run.repo === null || run.repo === undefined
    ? "-"
    : toText(`${run.repo}#${run.number ?? "?"}`);
}
