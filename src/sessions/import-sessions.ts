import { JsonFailure, parseJson } from "../json/parse.ts";
import type { Log } from "../ports/observe.ts";
import type { SessionTable } from "../ports/store/sessions.ts";
import { honourEdits } from "./honour-edits.ts";
import {
  type MirrorFound,
  readMirror,
  removeStrayTemporaries,
  setMirrorAside,
} from "./mirror-file.ts";
import { type FileSessions, readSessions } from "./mirror-format.ts";

/** Skipped entries named one by one; of more, only their number. */
const NAMED_MAX = 20;

interface Options {
  readonly table: SessionTable;
  /** The claim on the file, see SessionLines. */
  readonly owner: number;
  readonly stateDir: string;
  readonly now: () => number;
  readonly log: Log;
}

/**
 * Looks at the `sessions.json` that lies in `stateDir` at the start. An unreadable one is renamed to
 * `sessions.json.bad-<time>`. A readable one is imported, whoever wrote it, when the table never had
 * a session; later, what a person changed in the mirror is taken over. Resolves with what is left at
 * the place. A file system that fails is logged; only the table throws.
 */
export async function importSessions(options: Options): Promise<MirrorFound> {
  const isPristine = await options.table.isPristine();
  const { found, file } = await look(options, isPristine);
  if (file !== null) await takeOver(options, file, isPristine);
  return found;
}

async function look(
  { stateDir, now, log }: Options,
  isPristine: boolean,
): Promise<{ readonly found: MirrorFound; readonly file: FileSessions | null }> {
  const nothing = { found: { kind: "none" }, file: null } as const;
  try {
    const removed = await removeStrayTemporaries(stateDir);
    if (removed > 0) log.info("removed temporary files of a killed process", { count: removed });
    const found = await readMirror(stateDir);
    if (found.kind === "none") return nothing;
    const file = found.kind === "bad" ? found.problem : parseFile(found.text, isPristine);
    if (typeof file !== "string") return { found, file };
    log.warn("sessions.json is not readable and was set aside; the database holds", {
      problem: file,
      path: await setMirrorAside(stateDir, now()),
      remedy: "correct it and put it back while the service is stopped, or delete it",
    });
  } catch (error) {
    log.warn("the state directory cannot be read; the sessions in the database hold", {
      error: error instanceof Error ? error.message : String(error),
      remedy: `make ${stateDir} a directory the service's user may read and write`,
    });
  }
  return nothing;
}

async function takeOver(
  { table, owner, now, log }: Options,
  file: FileSessions,
  isPristine: boolean,
): Promise<void> {
  for (const { entry, problem } of file.skipped.slice(0, NAMED_MAX)) {
    log.warn("an entry of sessions.json is no session and was skipped", { entry, problem });
  }
  const skipped = file.skipped.length;
  const count = await honourEdits({
    lines: table.lines,
    owner,
    file,
    now: now(),
    report: isPristine ? () => undefined : (message, fields) => log.warn(message, fields),
  });
  if (isPristine && count + skipped > 0) log.info("imported sessions.json", { count, skipped });
  else if (skipped > NAMED_MAX)
    log.warn("more entries were skipped", { count: skipped - NAMED_MAX });
}

/** The sessions of the file, or what is wrong with it. */
function parseFile(text: string, isPristine: boolean): FileSessions | string {
  try {
    const file = readSessions(parseJson(text));
    if (file === null) {
      return 'it has neither the form {"version":1,"sessions":[…]} nor that of an object of key and session id';
    }
    // It says nothing of the sessions it leaves out, so it can be no edit of the mirror.
    if (file.form === "plain" && !isPristine) {
      return "an object of key and session id is only imported when the database knows no session";
    }
    return file;
  } catch (error) {
    if (error instanceof JsonFailure) return `it is not JSON: ${error.message}`;
    throw error;
  }
}
