import type { Log } from "../ports/observe.ts";
import type { SessionTable } from "../ports/store/sessions.ts";
import { draftMirror, type MirrorDraft, type MirrorFound, syncDirectory } from "./mirror-file.ts";
import { createMirrorText, type LineChange, MirrorLost } from "./mirror-text.ts";

/** The least time between the beginnings of two writes of the file. */
const INTERVAL_MS = 1000;

/**
 * A write that took long puts the next one off by this many times as long: with 100,000 sessions on a
 * busy disk its 25 MB take half a second, during which commits wait for the same disk.
 */
const REST_PER_WRITE = 5;

/** The readable copy of the session table in `sessions.json`. */
export interface SessionMirror {
  /** Says that the table has changed; the file follows within a second, later only when a write takes longer than a fifth of one. Call it after the commit, also after runs.start and runs.end. */
  changed(): void;
  /** Resolves when the file holds what the table held at the call, or when writing has failed and was logged. Never rejects. */
  flush(): Promise<void>;
  /** Writes what is left and stops; later changes are only in the table. */
  close(): Promise<void>;
}

/**
 * Keeps `sessions.json` in `stateDir` equal to `table`, with at most one write a second and one at a
 * time. `owner` is the claim of this process, `found` what lies there now; an equal file is not
 * written. A write that fails is logged and tried again at the next change: the database holds, so
 * no caller waits for the file.
 */
export function openMirror(options: {
  readonly table: SessionTable;
  readonly owner: number;
  readonly stateDir: string;
  readonly log: Log;
  readonly found: MirrorFound;
}): SessionMirror {
  const { stateDir, log } = options;
  const write = createWriter(options);
  let writing: Promise<void> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let nextWriteAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;
  let isLost = false;

  const tryWrite = async (): Promise<void> => {
    if (isLost) return;
    // By the monotonic clock: a step of the wall clock must not hold the file back.
    const begin = performance.now();
    nextWriteAt = begin + INTERVAL_MS;
    try {
      await write();
    } catch (error) {
      if (error instanceof MirrorLost) {
        isLost = true;
        log.info("another process writes sessions.json from now on; this one no longer does");
        return;
      }
      log.warn("sessions.json cannot be written; the sessions are safe in the database", {
        error: error instanceof Error ? error.message : String(error),
        remedy: `free space on the disk of ${stateDir} and let the service's user write there; the next change of a session tries again`,
      });
    }
    const rest = (performance.now() - begin) * REST_PER_WRITE;
    nextWriteAt = begin + Math.max(INTERVAL_MS, rest);
  };
  const flush = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    writing = writing.then(tryWrite);
    return writing;
  };

  return {
    changed() {
      if (isClosed || timer !== null) return;
      timer = setTimeout(flush, Math.max(0, nextWriteAt - performance.now()));
    },
    flush,
    async close() {
      isClosed = true;
      await flush();
    },
  };
}

/**
 * One write of the file after the other. The order makes a kill at any moment harmless: draft,
 * synced → its digests announced → renamed → directory synced → digests confirmed. What a write
 * left open is settled by the next one: an announcement without rename is withdrawn, a rename
 * without confirmation is confirmed first.
 */
function createWriter(options: {
  readonly table: SessionTable;
  readonly owner: number;
  readonly stateDir: string;
  readonly found: MirrorFound;
}): () => Promise<void> {
  const { owner, stateDir, found } = options;
  const { lines } = options.table;
  const text = createMirrorText(lines, owner);
  let left: "nothing" | "announced" | "renamed" = "announced";
  let isCurrent = false;
  let isFirst = true;

  const confirm = async (): Promise<void> => {
    await syncDirectory(stateDir);
    hold(await lines.confirm(owner));
    left = "nothing";
  };
  const replace = async (draft: MirrorDraft, changes: readonly LineChange[]): Promise<void> => {
    for (const chunk of text.chunks()) await draft.append(chunk);
    await draft.finish();
    if (left === "announced") hold(await lines.withdraw(owner));
    left = "announced";
    hold(await lines.announce(owner, changes));
    const rename = (): void => {
      draft.replace();
      left = "renamed";
    };
    hold(await lines.rename(owner, rename));
    await confirm();
  };

  return async () => {
    if (left === "renamed") await confirm();
    const changes = await text.update();
    if (isFirst) isCurrent = found.kind === "text" && found.isPrivate && text.isEqual(found.text);
    isFirst = false;
    if (isCurrent && changes.length === 0) return;
    isCurrent = false;
    const draft = await draftMirror(stateDir);
    try {
      await replace(draft, changes);
      text.isWritten();
      isCurrent = true;
    } finally {
      await draft.discard();
    }
  };
}

function hold(isHeld: boolean): void {
  if (!isHeld) throw new MirrorLost();
}
