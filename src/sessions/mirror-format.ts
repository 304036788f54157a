import { z } from "zod";
import type { SessionRow } from "../ports/store.ts";
import { checkSessionId, parseSessionKey, SessionKeyFailure, sessionKey } from "./key.ts";

/** An entry of the file that is no session, and why. */
interface SkippedEntry {
  readonly entry: string;
  readonly problem: string;
}

/** What a file holds; null when it is neither form of a session file. */
export type FileSessions = {
  readonly rows: readonly SessionRow[];
  readonly skipped: readonly SkippedEntry[];
} | null;

const entrySchema = z.object({
  key: z.string(),
  agent: z.string(),
  repo: z.string(),
  number: z.number(),
  session_id: z.string(),
  created_at: z.number(),
  updated_at: z.number(),
  resumes: z.number().int().nonnegative(),
  tainted: z.boolean(),
});

const fileSchema = z.object({ version: z.literal(1), sessions: z.array(z.unknown()) });

/**
 * The text of `sessions.json`: `{"version":1,"sessions":[…]}` with one session per line in the order
 * of `rows`, so that people and diffs can read it. Times are epoch milliseconds.
 */
export function formatSessions(rows: readonly SessionRow[]): string {
  const lines = rows.map((row) =>
    JSON.stringify({
      key: row.key,
      agent: row.agent,
      repo: row.repo,
      number: row.number,
      session_id: row.sessionId,
      created_at: row.createdAt,
      updated_at: row.updatedAt,
      resumes: row.resumes,
      tainted: row.tainted,
    } satisfies z.infer<typeof entrySchema>),
  );
  return `{"version":1,"sessions":[${lines.length === 0 ? "" : `\n${lines.join(",\n")}\n`}]}\n`;
}

/**
 * Reads the parsed content of a session file: our own form, or a plain object of key → session id.
 * `now` (epoch ms) becomes the times of a plain entry; it counts as tainted, since nothing says what
 * that session has seen. What a session has cost is not in the file: it begins at 0.
 */
export function readSessions(content: unknown, now: number): FileSessions {
  const file = fileSchema.safeParse(content);
  if (file.success)
    return collect(
      file.data.sessions.map((entry) => [describe(entry), entry]),
      now,
    );
  if (typeof content !== "object" || content === null || Array.isArray(content)) return null;
  if ("version" in content && "sessions" in content) return null;
  return collect(Object.entries(content), now);
}

function collect(entries: readonly (readonly [string, unknown])[], now: number): FileSessions {
  const rows = new Map<string, SessionRow>();
  const skipped: SkippedEntry[] = [];
  for (const [entry, value] of entries) {
    const row = typeof value === "string" ? readPlain(entry, value, now) : readEntry(value);
    if ("problem" in row) skipped.push({ entry: entry.slice(0, 200), problem: row.problem });
    else if (rows.has(row.key)) {
      skipped.push({ entry: entry.slice(0, 200), problem: `${row.key} stands there twice` });
    } else rows.set(row.key, row);
  }
  return { rows: [...rows.values()], skipped };
}

function readPlain(
  key: string,
  sessionId: string,
  now: number,
): SessionRow | { readonly problem: string } {
  return refused(() => {
    const place = parseSessionKey(key);
    checkSessionId(sessionId);
    return {
      ...place,
      sessionId,
      createdAt: now,
      updatedAt: now,
      resumes: 0,
      tainted: true,
      usdTotal: 0,
    };
  });
}

function readEntry(value: unknown): SessionRow | { readonly problem: string } {
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) return { problem: z.prettifyError(parsed.error).slice(0, 500) };
  const entry = parsed.data;
  return refused(() => {
    const key = sessionKey(entry.agent, entry.repo, entry.number);
    const place = parseSessionKey(entry.key);
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
      usdTotal: 0,
    };
  });
}

function refused(read: () => SessionRow): SessionRow | { readonly problem: string } {
  try {
    return read();
  } catch (error) {
    if (error instanceof SessionKeyFailure) return { problem: error.message };
    throw error;
  }
}

function describe(entry: unknown): string {
  return (JSON.stringify(entry) ?? "undefined").slice(0, 200);
}
