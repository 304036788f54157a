import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { StubSettings, StubSkill } from "./record.ts";

/**
 * A program in the CLI's place, inside the real jail: it speaks as much of the CLI's stream-json as
 * the SDK needs, keeps a transcript, commits, and calls every forge tool of its skill, worded
 * differently each time. Every start reports to the harness over a socket that stays open until the
 * kernel closes it: that is when the process is gone, whoever killed it. `SETTINGS` is written in
 * front of this text when the program is made.
 */
declare const SETTINGS: StubSettings;

const DEAF_MS = 10_000;
const HEAD =
  /^claude-hooks: (?<skill>\S+) (?<repo>\S+)#(?<number>\d+) as (?<agent>\S+), run (?<run>\S+), (?<mode>start|resume)$/mu;

interface Head {
  readonly skill: StubSkill;
  readonly number: number;
  readonly agent: string;
  readonly run: string;
  readonly mode: string;
}

interface Message {
  readonly type?: string;
  readonly request_id?: string;
  readonly request?: { readonly subtype?: string };
  readonly response?: { readonly request_id?: string; readonly response?: unknown };
  readonly message?: { readonly content?: unknown };
}

const word = Math.random().toString(36).slice(2, 10);
const waiting = new Map<string, (response: unknown) => void>();
const { session, transcript } = openTranscript();
const recorder = await report();
let asked = 0;
let isDone = false;

// A CLI that does not go when it is asked to: only SIGKILL ends it.
if (SETTINGS.deaf) process.on("SIGTERM", () => undefined);
process.stdout.on("error", () => undefined);
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Message;
  if (message.type === "control_request") answerRequest(message);
  else if (message.type === "control_response") heardResponse(message);
  else if (message.type === "user") void work(textOf(message)).catch(fail);
}
// Nobody asks any more. Like the CLI, one that is deaf goes on with what it was about.
if (SETTINGS.deaf && !isDone) await new Promise((resolve) => setTimeout(resolve, DEAF_MS));
// The open socket would keep the process alive.
process.exit(0);

function answerRequest({ request_id = "", request }: Message): void {
  const response = { subtype: "success", request_id, response: {} };
  say({ type: "control_response", response });
  if (request?.subtype === "interrupt") process.exit(0);
}

function heardResponse({ response }: Message): void {
  const known = waiting.get(response?.request_id ?? "");
  waiting.delete(response?.request_id ?? "");
  known?.(response?.response);
}

async function work(prompt: string): Promise<void> {
  const head = HEAD.exec(prompt)?.groups as unknown as Head | undefined;
  if (head === undefined) throw new Error("no order in the prompt");
  const number = Number(head.number);
  const before = readFileSync(transcript, { encoding: "utf8", flag: "a+" });
  const knows = [...before.matchAll(/, run (\S+), (?:start|resume)\b/gu)].map(([, run]) => run);
  tell({ kind: "start", ...head, number, session, knows });
  write({ type: "user", message: { role: "user", content: prompt } });
  say({ type: "system", subtype: "init", session_id: session, tools: [], mcp_servers: [] });
  await connectTools();
  for (const [tool, input] of callsFor({ ...head, number }, prompt, before)) {
    await pause();
    const { ok, text } = await call(tool, input);
    tell({ kind: "called", run: head.run, tool, ok });
    write({ type: "assistant", message: { role: "assistant", content: `${tool}: ${text}` } });
    if (ok && tool === "ask_human") break;
  }
  await pause();
  isDone = true;
  say({
    type: "result",
    subtype: "success",
    is_error: false,
    num_turns: 1,
    total_cost_usd: 0,
    permission_denials: [],
    result: `done ${word}`,
    stop_reason: "end_turn",
    session_id: session,
  });
}

/** What a run does, by its skill and the number of its work item; authors commit first. */
function callsFor(head: Head, prompt: string, before: string): [string, unknown][] {
  const reply: [string, unknown] = ["reply", { body: `I am on it (${word}).` }];
  const question: [string, unknown] = ["ask_human", { question: `Which colour (${word})?` }];
  const known = `${prompt}${before}`;
  switch (head.skill) {
    case "implement": {
      if (head.number % 5 === 2 && !known.includes(SETTINGS.answer)) return [reply, question];
      commit(`items/${head.number}.txt`, `made ${word}`);
      const open = { title: `Item ${head.number} ${word}`, body: `It is there (${word}).` };
      return [reply, ["open_pull_request", open]];
    }
    case "address-review": {
      commit(`items/${head.number}.txt`, `addressed ${word}`);
      const ids = [...prompt.matchAll(/^### Comment (\d+)/gmu)].map(([, id]) => Number(id));
      const answers = ids.map((comment_id) => ({ comment_id, body: `Done (${word}).` }));
      return [reply, ["hand_in", { summary: `Handed in (${word}).`, answers }]];
    }
    case "review": {
      const wants = head.number % 3 === 1 && !prompt.includes("+addressed");
      const path = `items/${head.number}.txt`;
      const review = wants
        ? {
            verdict: "request_changes",
            body: `Not yet (${word}).`,
            comments: [{ path, line: 1, body: `Say more (${word}).` }],
          }
        : { verdict: "approve", body: `Good (${word}).` };
      return [reply, ["submit_review", review]];
    }
    case "merge":
      return [
        reply,
        head.number % 4 === 3
          ? ["decline_merge", { reason: `I do not like it (${word}).` }]
          : ["request_merge", { summary: `Merged (${word}).` }],
      ];
  }
}

function commit(path: string, text: string): void {
  mkdirSync("items", { recursive: true });
  appendFileSync(path, `${text}\n`);
  for (const args of [
    ["add", "-A"],
    ["commit", "-qm", text],
  ])
    execFileSync("git", args);
}

async function connectTools(): Promise<void> {
  const clientInfo = { name: "stub", version: "1" };
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
  await rpc({ id: 0, method: "initialize", params });
  await rpc({ method: "notifications/initialized" });
}

async function call(name: string, input: unknown): Promise<{ ok: boolean; text: string }> {
  asked += 1;
  const id = `toolu_${word}_${asked}`;
  const params = { name, arguments: input, _meta: { "claudecode/toolUseId": id } };
  const answer = (await rpc({ id: asked, method: "tools/call", params })) as {
    mcp_response?: { result?: { isError?: boolean; content?: { text?: string }[] } };
  };
  const result = answer.mcp_response?.result;
  const ok = result !== undefined && result.isError !== true;
  return { ok, text: result?.content?.[0]?.text ?? "no answer" };
}

async function rpc(message: object): Promise<unknown> {
  const request_id = `${word}-${waiting.size}-${Math.random()}`;
  const request = {
    subtype: "mcp_message",
    server_name: "forge",
    message: { jsonrpc: "2.0", ...message },
  };
  return await new Promise((resolve) => {
    waiting.set(request_id, resolve);
    say({ type: "control_request", request_id, request });
  });
}

/** Where the CLI keeps it: one line a message, under the config directory. */
function openTranscript(): { session: string; transcript: string } {
  const args = process.argv.slice(2);
  const argument = (name: string): string | undefined => {
    const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
    return at === -1 ? undefined : (args[at]?.split("=")[1] ?? args[at + 1]);
  };
  const id = argument("--session-id") ?? argument("--resume") ?? "none";
  const projects = join(process.env["CLAUDE_CONFIG_DIR"] ?? ".", "projects");
  const place = existsSync(projects) ? readdirSync(projects)[0] : undefined;
  const directory = join(projects, place ?? "-clone");
  mkdirSync(directory, { recursive: true });
  return { session: id, transcript: join(directory, `${id}.jsonl`) };
}

/** The harness asks now and then whether somebody is still there; a dead process cannot answer. */
async function report(): Promise<Socket> {
  const socket = connect(SETTINGS.socket);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => undefined);
  createInterface({ input: socket }).on("line", (ask) => tell({ kind: "here", ask }));
  return socket;
}

function tell(fact: object): void {
  recorder.write(`${JSON.stringify(fact)}\n`);
}

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Where several services share a database, the SDK asks for each line as it is written. */
function write(message: object): void {
  appendFileSync(transcript, `${JSON.stringify(message)}\n`);
  if (!process.argv.includes("--session-mirror")) return;
  say({ type: "transcript_mirror", filePath: transcript, entries: [message] });
}

function textOf({ message }: Message): string {
  const content = message?.content;
  if (typeof content === "string") return content;
  return (content as { text?: string }[]).map(({ text }) => text ?? "").join("\n");
}

/** So that a kill finds it at any step. */
async function pause(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * SETTINGS.stepMs));
}

function fail(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
}
