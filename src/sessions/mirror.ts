import type { Log } from "../ports/observe.ts";
import type { SessionTable } from "../ports/store.ts";
import { type MirrorFound, writeMirror } from "./mirror-file.ts";
import { formatSessions } from "./mirror-format.ts";

/** The least time between two writes of the file. */
const INTERVAL_MS = 1000;

/** The readable copy of the session table in `sessions.json`. */
export interface SessionMirror {
  /** Says that the table has changed; the file follows within a second. Call it after the commit, also after runs.start and runs.end. */
  changed(): void;
  /** Resolves when the file holds what the table held at the call, or when writing has failed and was logged. Never rejects. */
  flush(): Promise<void>;
  /** Writes what is left and stops; later changes are only in the table. */
  close(): Promise<void>;
}

/**
 * Keeps `sessions.json` in `stateDir` equal to `table`, with at most one write a second and one at a
 * time. `found` is what lies there now; an equal file is not written. A write that fails is logged
 * and tried again at the next change: the database holds, so no caller waits for the file.
 */
export function openMirror(options: {
  readonly table: SessionTable;
  readonly stateDir: string;
  readonly log: Log;
  readonly found: MirrorFound;
}): SessionMirror {
  const { table, stateDir, log, found } = options;
  let written = found.kind === "text" && found.isPrivate ? found.text : null;
  let writing: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let lastWriteAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  const write = async (): Promise<void> => {
    lastWriteAt = performance.now();
    try {
      const text = formatSessions(await table.all());
      if (text === written) return;
      await writeMirror(stateDir, text);
      written = text;
    } catch (error) {
      written = null;
      log.warn("sessions.json cannot be written; the sessions are safe in the database", {
        error: error instanceof Error ? error.message : String(error),
        remedy: `free space on the disk of ${stateDir} and let the service's user write there; the next change of a session tries again`,
      });
    }
  };
  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    writing = writing.then(write);
    return writing;
  };

  return {
    changed() {
      if (isClosed || timer !== null) return;
      // By the monotonic clock: a step of the wall clock must not hold the file back.
      const wait = Math.max(0, lastWriteAt + INTERVAL_MS - performance.now());
      timer = setTimeout(flush, wait);
    },
    flush,
    async close() {
      isClosed = true;
      await flush();
    },
  };
}
