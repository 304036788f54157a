import type { Command } from "commander";
import { readAnswer, Status } from "./answers.ts";
import { asApiCommand } from "./api-command.ts";
import type { CommandSetting } from "./context.ts";
import { printFields } from "./table.ts";
import { toText } from "./text.ts";

/** `status`: what the running service is doing, in numbers. */
export function addStatusCommand(program: Command, setting: CommandSetting): void {
  asApiCommand(
    program.command("status").description("say what the running service is doing"),
    setting,
    () => ({
      ask: (api) => api.get("/api/v1/status"),
      show: (context, answer) => {
        const status = readAnswer(Status, answer);
        printFields(context, [
          ["version", toText(status.version)],
          ["paused", pausedText(status)],
          ["draining", toText(status.draining)],
          ["deliveries", countsText(status.deliveries)],
          ["runs", countsText(status.runs)],
          ["queue", countsText(status.queue)],
          ["gates", gatesText(status)],
          ...administratorsField(status),
        ]);
      },
    }),
  );
}

/** Everything, or the repositories and agents that are paused, or nothing. */
function pausedText({ paused, paused_by_file, pauses }: Status): string {
  if (paused) {
    return paused_by_file === true
      ? "everything (by the file paused in the state directory)"
      : "everything";
  }
  return pauses.map(({ repo, agent }) => toText(repo ?? agent)).join(", ") || "no";
}

/** Every closed gate: why, how often it was tried, and when it is tried again. */
function gatesText({ gates }: Status): string {
  const parts = gates.map(
    ({ name, reason, attempt, retry_at }) =>
      `${toText(name)} closed: ${toText(reason)}, attempt ${toText(attempt)}, again at ${toText(retry_at)}`,
  );
  return parts.join("; ") || "all open";
}

/** Only there when something is wrong: the agents that must not administrate a repository, and do. */
function administratorsField({ administrators }: Status): [string, string][] {
  if (administrators.length === 0) return [];
  const named = administrators.map(({ repo, agent }) => `${toText(agent)} in ${toText(repo)}`);
  return [["administrators", `${named.join(", ")}: give write access only`]];
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${toText(name)} ${count}`);
  return parts.length === 0 ? "-" : parts.join(", ");
}
