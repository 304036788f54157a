import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { z } from "zod";
import { JsonFailure, parseJson } from "../json/parse.ts";
import { transcriptFiles } from "./has-transcript.ts";

/** Of a longer transcript the end is read. */
const READ_BYTES_MAX = 32 * 1024 * 1024;
const PIECE_BYTES_MAX = 2_048;
const TEXT_BYTES_MAX = 1_048_576;
const LEFT_OUT = "(what was said before is left out)\n\n";

const Block = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
  content: z.unknown().optional(),
  is_error: z.boolean().nullish(),
});
const Line = z.looseObject({
  type: z.enum(["user", "assistant"]),
  timestamp: z.string().max(40).optional(),
  message: z.looseObject({ content: z.union([z.string(), z.array(Block)]) }),
});

/**
 * The conversation of a session for people: for each message its time and role, its words, the calls
 * of tools with their input, and their results. Every piece goes through `redact` and is then cut at
 * 2 kB; of all of it the newest 1 MB is given. Null when no transcript lies there. The agent writes
 * that file: a line that is none of the CLI's is left out, and no link is followed.
 */
export async function readTranscript(
  home: string,
  sessionId: string,
  redact: (text: string) => string,
): Promise<string | null> {
  const [file] = await transcriptFiles(home, sessionId);
  const raw = file === undefined ? null : await readEnd(file);
  if (raw === null) return null;
  const text = await renderBackwards(raw.text.split("\n").toReversed(), redact);
  return raw.isWhole || text.startsWith(LEFT_OUT) ? text : `${LEFT_OUT}${text}`;
}

/** The same of lines that come the newest first; of more than 32 MB the newest are read. */
export async function renderBackwards(
  lines: Iterable<string> | AsyncIterable<string>,
  redact: (text: string) => string,
): Promise<string> {
  const messages: string[] = [];
  let [read, bytes] = [0, 0];
  let isWhole = true;
  for await (const line of lines) {
    read += line.length;
    const message = render(line, redact);
    if (message === null) continue;
    bytes += Buffer.byteLength(message) + 2;
    if (bytes > TEXT_BYTES_MAX - LEFT_OUT.length || read > READ_BYTES_MAX) {
      isWhole = false;
      break;
    }
    messages.push(message);
  }
  return `${isWhole ? "" : LEFT_OUT}${messages.toReversed().join("\n\n")}`;
}

async function readEnd(path: string): Promise<{ text: string; isWhole: boolean } | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  // Gone or put in the place of by a link since it was looked at.
  const file = await open(path, flags).catch(() => null);
  if (file === null) return null;
  try {
    const found = await file.stat();
    if (!found.isFile()) return null;
    const from = Math.max(0, found.size - READ_BYTES_MAX);
    const bytes = Buffer.alloc(Math.min(found.size, READ_BYTES_MAX));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, from + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return { text: bytes.subarray(0, filled).toString("utf8"), isWhole: from === 0 };
  } finally {
    await file.close();
  }
}

function render(line: string, redact: (text: string) => string): string | null {
  const read = Line.safeParse(parseOrNull(line));
  if (!read.success) return null;
  const { type, timestamp, message } = read.data;
  const piece = (text: string): string => cut(redact(text));
  const blocks =
    typeof message.content === "string"
      ? [piece(message.content)]
      : message.content.map((block) => renderBlock(block, piece));
  const said = blocks.filter((block) => block !== "");
  if (said.length === 0) return null;
  return `--- ${type}${timestamp === undefined ? "" : ` ${redact(timestamp)}`}\n${said.join("\n")}`;
}

function renderBlock(block: z.output<typeof Block>, piece: (text: string) => string): string {
  switch (block.type) {
    case "text":
      return piece(block.text ?? "");
    case "tool_use":
      return `> ${piece(block.name ?? "")} ${piece(JSON.stringify(block.input ?? null))}`;
    case "tool_result":
      return `< ${block.is_error === true ? "error: " : ""}${piece(resultText(block.content))}`;
    default:
      return `(${piece(block.type)})`;
  }
}

function resultText(content: unknown): string {
  if (typeof content === "string") return content;
  const blocks = z.array(Block).safeParse(content);
  if (!blocks.success) return "";
  return blocks.data.map(({ type, text }) => text ?? `(${type})`).join("\n");
}

function parseOrNull(line: string): unknown {
  try {
    return parseJson(line);
  } catch (error) {
    if (error instanceof JsonFailure) return null;
    throw error;
  }
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= PIECE_BYTES_MAX) return text;
  const kept = bytes
    .subarray(0, PIECE_BYTES_MAX)
    .toString("utf8")
    .replace(/\uFFFD+$/u, "");
  return `${kept}… (${bytes.length} bytes)`;
}
