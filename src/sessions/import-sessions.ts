import { JsonFailure, parseJson } from "../json/parse.ts";
import type { Log } from "../ports/observe.ts";
import type { SessionTable } from "../ports/store.ts";
import {
  type MirrorFound,
  readMirror,
  removeStrayTemporaries,
  setMirrorAside,
} from "./mirror-file.ts";
import { type FileSessions, readSessions } from "./mirror-format.ts";

/** Skipped entries named one by one; of more, only their number. */
const NAMED_MAX = 20;

/**
 * Looks at the `sessions.json` that lies in `stateDir` at the start. An unreadable one is renamed to
 * `sessions.json.bad-<time>`; a readable one is imported, once, when the table never had a session.
 * Resolves with what is left at the place. A file system that fails is logged; only the table throws.
 */
export async function importSessions(options: {
  readonly table: SessionTable;
  readonly stateDir: string;
  readonly now: () => number;
  readonly log: Log;
}): Promise<MirrorFound> {
  const { table, log } = options;
  const { found, sessions } = await look(options);
  if (sessions !== null && (await table.isPristine())) await store(table, sessions, log);
  return found;
}

async function look({
  stateDir,
  now,
  log,
}: {
  readonly stateDir: string;
  readonly now: () => number;
  readonly log: Log;
}): Promise<{ readonly found: MirrorFound; readonly sessions: FileSessions }> {
  const nothing = { found: { kind: "none" }, sessions: null } as const;
  try {
    const removed = await removeStrayTemporaries(stateDir);
    if (removed > 0) log.info("removed temporary files of a killed process", { count: removed });
    const found = await readMirror(stateDir);
    if (found.kind === "none") return nothing;
    const sessions = found.kind === "bad" ? found.problem : parseFile(found.text, now());
    if (typeof sessions !== "string") return { found, sessions };
    log.warn("sessions.json is not readable and was set aside; the database holds", {
      problem: sessions,
      path: await setMirrorAside(stateDir, now()),
      remedy: "correct it and put it back before a start with an empty database, or delete it",
    });
  } catch (error) {
    log.warn("the state directory cannot be read; the sessions in the database hold", {
      error: error instanceof Error ? error.message : String(error),
      remedy: `make ${stateDir} a directory the service's user may read and write`,
    });
  }
  return nothing;
}

async function store(
  table: SessionTable,
  { rows, skipped }: NonNullable<FileSessions>,
  log: Log,
): Promise<void> {
  for (const { entry, problem } of skipped.slice(0, NAMED_MAX)) {
    log.warn("an entry of sessions.json is no session and was skipped", { entry, problem });
  }
  if (rows.length === 0 && skipped.length === 0) return;
  await table.putAll(rows);
  log.info("imported sessions.json", { count: rows.length, skipped: skipped.length });
}

/** The sessions of the file, or what is wrong with it. */
function parseFile(text: string, now: number): NonNullable<FileSessions> | string {
  try {
    return (
      readSessions(parseJson(text), now) ??
      'it has neither the form {"version":1,"sessions":[…]} nor that of an object of key and session id'
    );
  } catch (error) {
    if (error instanceof JsonFailure) return `it is not JSON: ${error.message}`;
    throw error;
  }
}
