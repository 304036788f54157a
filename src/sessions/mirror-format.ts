import { createHash } from "node:crypto";
import { z } from "zod";
import type { SessionRow } from "../ports/store/sessions.ts";
import { checkSessionId, parseSessionKey, SessionKeyFailure, sessionKey } from "./key.ts";

/** What stands before the first line, between two lines and after the last one. */
export const MIRROR_FRAME = {
  open: '{"version":1,"sessions":[',
  first: "\n",
  between: ",\n",
  last: "\n",
  close: "]}\n",
} as const;

/** An entry of a session file that names a session; what it leaves out is undefined. */
export interface FileLine {
  readonly key: string;
  readonly agent: string;
  readonly repo: string;
  readonly number: number;
  readonly sessionId: string;
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
  readonly resumes: number | undefined;
  readonly tainted: boolean | undefined;
}

/** An entry of the file that is no session, why, and the keys it may have been meant for. */
interface SkippedEntry {
  readonly entry: string;
  readonly problem: string;
  readonly keys: readonly string[];
}

/** What a session file holds. `mirror` is our own form, `plain` an object of key → session id. */
export interface FileSessions {
  readonly form: "mirror" | "plain";
  readonly lines: readonly FileLine[];
  readonly skipped: readonly SkippedEntry[];
}

/** The last moment a date can name, in epoch milliseconds (ECMAScript, "Time Values"). */
const MOMENT_MAX = 8.64e15;
const count = z.number().int().nonnegative();
const moment = count.max(MOMENT_MAX);

// Only key and session id must be there: a person may add a line by hand.
const entrySchema = z.object({
  key: z.string(),
  agent: z.string().optional(),
  repo: z.string().optional(),
  number: z.number().optional(),
  session_id: z.string(),
  created_at: moment.optional(),
  updated_at: moment.optional(),
  resumes: count.optional(),
  tainted: z.boolean().optional(),
});

const fileSchema = z.object({ version: z.literal(1), sessions: z.array(z.unknown()) });

/** The line of one session in `sessions.json`. Times are epoch milliseconds; its cost is not in the file. */
export function formatLine(row: SessionRow): string {
  return JSON.stringify({
    key: row.key,
    agent: row.agent,
    repo: row.repo,
    number: row.number,
    session_id: row.sessionId,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
    resumes: row.resumes,
    tainted: row.tainted,
  } satisfies z.infer<typeof entrySchema>);
}

/** By what a line is known again: SHA-256, 32 hexadecimal digits of it. */
export function digestLine(line: string): string {
  return createHash("sha256").update(line).digest("hex").slice(0, 32);
}

/** Reads the parsed content of a session file; null when it has neither of the two forms. */
export function readSessions(content: unknown): FileSessions | null {
  const file = fileSchema.safeParse(content);
  if (file.success) {
    return { form: "mirror", ...collect(file.data.sessions) };
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) return null;
  if ("version" in content && "sessions" in content) return null;
  const entries = Object.entries(content).map(([key, value]) => ({ key, session_id: value }));
  return { form: "plain", ...collect(entries) };
}

function collect(entries: readonly unknown[]): Omit<FileSessions, "form"> {
  const lines = new Map<string, FileLine>();
  const skipped: SkippedEntry[] = [];
  for (const value of entries) {
    const line = readEntry(value);
    if ("problem" in line) {
      skipped.push({ entry: describe(value), problem: line.problem, keys: keysOf(value) });
    } else if (lines.has(line.key)) {
      const problem = `${line.key} stands there twice`;
      skipped.push({ entry: describe(value), problem, keys: [line.key] });
    } else lines.set(line.key, line);
  }
  return { lines: [...lines.values()], skipped };
}

function readEntry(value: unknown): FileLine | { readonly problem: string } {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error).slice(0, 500) };
  const entry = parsed.data;
  try {
    const place = parseSessionKey(entry.key);
    const { agent = place.agent, repo = place.repo, number = place.number } = entry;
    const key = sessionKey(agent, repo, number);
    if (place.key !== key) {
      throw new SessionKeyFailure("key", entry.key, `does not fit its fields, which say ${key}`);
    }
    checkSessionId(entry.session_id);
    return {
      ...place,
      sessionId: entry.session_id,
      createdAt: entry.created_at,
      updatedAt: entry.updated_at,
      resumes: entry.resumes,
      tainted: entry.tainted,
    };
  } catch (error) {
    if (error instanceof SessionKeyFailure) return { problem: error.message };
    throw error;
  }
}

const key = z.object({ key: z.string() }).transform((entry) => parseSessionKey(entry.key).key);
const fields = z
  .object({ agent: z.string(), repo: z.string(), number: z.number() })
  .transform(({ agent, repo, number }) => sessionKey(agent, repo, number));

/** The keys a damaged entry still tells, by its key and by its other fields. */
function keysOf(value: unknown): readonly string[] {
  return [key, fields].flatMap((schema) => {
    try {
      const parsed = schema.safeParse(value);
      return parsed.success ? [parsed.data] : [];
    } catch (error) {
      if (error instanceof SessionKeyFailure) return [];
      throw error;
    }
  });
}

function describe(entry: unknown): string {
  return (JSON.stringify(entry) ?? "undefined").slice(0, 200);
}
