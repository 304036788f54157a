import type { Command } from "commander";
import {
  type Conversation,
  Reset,
  readAnswer,
  type Session,
  SessionDetail,
  SessionList,
  type Tokens,
  Transcript,
} from "./answers.ts";
import { asApiCommand, pageQuery, printNext, withPages } from "./api-command.ts";
import type { CliContext, CommandSetting } from "./context.ts";
import { parseItem, sessionPath } from "./item-reference.ts";
import { styled } from "./style.ts";
import { type Column, printFields, printTable } from "./table.ts";
import { toAge, toLines, toText, toTime, toUsd } from "./text.ts";

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
      .description("show the session of an agent on a work item, and how it came to be")
      .argument("<agent>")
      .argument("<owner/repo#n>")
      .option("--transcript", "print the conversation instead, secrets taken out"),
    setting,
    ([agent = "", reference = ""], options) => {
      const path = sessionPath(agent, parseItem(reference));
      return options["transcript"] === true
        ? { ask: (api) => api.get(`${path}/transcript`), show: showTranscript }
        : { ask: (api) => api.get(path), show: showSession };
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

/** The columns in which sessions are listed. */
export const SESSION_COLUMNS: readonly Column<Session>[] = [
  { title: "SESSION", text: (session) => toText(session.key) },
  { title: "ID", text: (session) => toText(session.session_id) },
  { title: "RESUMES", text: (session) => toText(session.resumes) },
  { title: "TAINTED", text: (session) => toText(session.tainted) },
  { title: "WHY", text: (session) => toText(session.why) },
  { title: "AGE", text: (session) => toAge(session.age_seconds) },
  { title: "TOKENS", text: (session) => tokensOf(session.tokens) },
  { title: "COST", text: (session) => toUsd(session.usd) },
  { title: "LAST SEEN", text: (session) => toTime(session.last_seen ?? session.updated_at) },
];

const HISTORY_COLUMNS: readonly Column<Conversation>[] = [
  { title: "ID", text: (row) => toText(row.session_id) },
  { title: "BEGAN", text: (row) => toTime(row.started_at) },
  { title: "WHY", text: (row) => toText(row.why) },
  { title: "HANDED OVER", text: (row) => toText(row.handed_over) },
  { title: "LAST SEEN", text: (row) => toTime(row.last_seen) },
  { title: "ENDED", text: (row) => toTime(row.ended_at) },
  { title: "WHY", text: (row) => toText(row.ended_why) },
  { title: "TOKENS", text: (row) => tokensOf(row.tokens) },
  { title: "COST", text: (row) => toUsd(row.usd) },
];

function showSession(context: CliContext, answer: unknown): void {
  const session = readAnswer(SessionDetail, answer);
  const [newest] = session.history;
  const fields: (readonly [string, string])[] = [["session", toText(session.key)]];
  if (session.session_id === undefined) {
    fields.push(["dropped", toTime(newest?.ended_at)], ["because", toText(newest?.ended_why)]);
  } else {
    fields.push(
      ["id", toText(session.session_id)],
      ["agent", toText(session.agent)],
      ["repository", toText(session.repo)],
      ["number", toText(session.number)],
      ["began because", toText(session.why)],
      ["created", toTime(session.created_at)],
      ["age", toAge(session.age_seconds)],
      ["last seen", toTime(session.last_seen ?? session.updated_at)],
      ["resumes", toText(session.resumes)],
      ["tainted", toText(session.tainted)],
      ["context", toText(session.context_tokens)],
      ["tokens", tokensOf(session.tokens)],
      ["cost", toUsd(session.usd)],
    );
  }
  printFields(context, fields);
  if (session.history.length === 0) return;
  context.print(`\n${styled(context, "bold", "history")}\n`);
  printTable(context, HISTORY_COLUMNS, session.history, "none");
}

function showTranscript(context: CliContext, answer: unknown): void {
  const { transcript } = readAnswer(Transcript, answer);
  context.print(`${toLines(transcript)}\n`);
}

/** All tokens together, whatever they cost. */
function tokensOf(tokens: Tokens): string {
  if (tokens === null || tokens === undefined) return "-";
  const { input, output, cache_read: read, cache_write: write } = tokens;
  return String((input ?? 0) + (output ?? 0) + (read ?? 0) + (write ?? 0));
}
