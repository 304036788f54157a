import type { Command } from "commander";
import { ItemDetail, Reset, readAnswer, Session, SessionList } from "./answers.ts";
import { asApiCommand, pageQuery, printNext, withPages } from "./api-command.ts";
import { type CliContext, CliFailure, type CommandSetting } from "./context.ts";
import { itemPath, parseItem } from "./item-reference.ts";
import { type Column, printFields, printTable } from "./table.ts";
import { toText, toTime } from "./text.ts";

/** `sessions list|show|reset`. */
export function addSessionsCommands(program: Command, setting: CommandSetting): void {
  const sessions = program.command("sessions").description("conversations that runs resume");
  asApiCommand(
    withPages(sessions.command("list").description("list sessions")),
    setting,
    (_args, options) => ({
      ask: (api) => api.get(`/api/v1/sessions${pageQuery(options)}`),
      show: (context, answer) => {
        const page = readAnswer(SessionList, answer);
        printTable(context, SESSION_COLUMNS, page.sessions, "no sessions");
        printNext(context, page.next);
      },
    }),
  );
  asApiCommand(
    sessions
      .command("show")
      .description("show the session of an agent on a work item")
      .argument("<agent>")
      .argument("<owner/repo#n>"),
    setting,
    ([agent = "", reference = ""]) => {
      const path = itemPath(parseItem(reference));
      return {
        ask: async (api) => sessionOf(agent, reference, await api.get(path)),
        show: showSession,
      };
    },
  );
  asApiCommand(
    sessions
      .command("reset")
      .description("forget the session: the next run starts afresh")
      .argument("<agent>")
      .argument("<owner/repo#n>"),
    setting,
    ([agent = "", reference = ""]) => {
      const { owner, name, number } = parseItem(reference);
      return {
        ask: (api) => api.post("/reset", { agent, repo: `${owner}/${name}`, issue: number }),
        show: (context, answer) => {
          const { session } = readAnswer(Reset, answer);
          const what = `${agent} on ${reference}`;
          context.print(session ? `forgot the session of ${what}\n` : `no session of ${what}\n`);
        },
      };
    },
  );
}

export const SESSION_COLUMNS: readonly Column<Session>[] = [
  { title: "SESSION", text: (session) => toText(session.key) },
  { title: "ID", text: (session) => toText(session.session_id) },
  { title: "RESUMES", text: (session) => toText(session.resumes) },
  { title: "TAINTED", text: (session) => toText(session.tainted) },
  { title: "UPDATED", text: (session) => toTime(session.updated_at) },
];

/** The item's answer names the sessions of all agents, also when it was asked for by its pull request. */
function sessionOf(agent: string, reference: string, answer: unknown): Session {
  const found = readAnswer(ItemDetail, answer).sessions.find((session) => session.agent === agent);
  if (found === undefined) {
    throw new CliFailure(`agent ${agent} has no session on ${reference}`);
  }
  return found;
}

function showSession(context: CliContext, answer: unknown): void {
  const session = readAnswer(Session, answer);
  printFields(context, [
    ["session", toText(session.key)],
    ["id", toText(session.session_id)],
    ["agent", toText(session.agent)],
    ["repository", toText(session.repo)],
    ["number", toText(session.number)],
    ["created", toTime(session.created_at)],
    ["updated", toTime(session.updated_at)],
    ["resumes", toText(session.resumes)],
    ["tainted", toText(session.tainted)],
  ]);
}
