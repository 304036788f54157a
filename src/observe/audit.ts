import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { Audit, Log } from "../ports/observe.ts";
import { createOncePerMinute } from "./once-per-minute.ts";
import type { Redactor } from "./redactor.ts";

/** The kind under which refusals before the signature holds are recorded; `reason` is a field of it. */
export const DELIVERY_REFUSED = "delivery_refused";

export interface AuditOptions {
  /** `audit.jsonl` in the state directory, which must exist. */
  readonly file: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly redactor: Redactor;
  readonly log: Log;
}

export interface AuditFile extends Audit {
  /** Resolves when every line appended so far is on the disk (or was given up with a warning). */
  flush(): Promise<void>;
  /** Flushes and closes the file; later lines are dropped with a warning. */
  close(): Promise<void>;
}

const LINE_BYTES_MAX = 16_384;
const WAITING_LINES_MAX = 10_000;

/**
 * The append-only record: one JSON object a line, `time` (ISO 8601) and `kind` first, the file
 * readable for its owner only. Writes happen one after the other; a disk error costs the lines it
 * hit, is logged, and never disturbs the caller. Of DELIVERY_REFUSED there is one line per reason
 * and minute; `more` of the following one counts what was left out since.
 */
export function createAudit(options: AuditOptions): AuditFile {
  const oncePerMinute = createOncePerMinute();
  const writer = createWriter(options);
  return {
    append: (kind, fields) => {
      const at = options.now();
      let all = fields;
      if (kind === DELIVERY_REFUSED) {
        const { reason } = fields;
        const turn = oncePerMinute(String(reason ?? ""), at);
        if (!turn.now) {
          return;
        }
        all = turn.skipped === 0 ? fields : { ...fields, more: turn.skipped };
      }
      writer.write(formatLine(kind, all, at, options.redactor));
    },
    flush: writer.flush,
    close: writer.close,
  };
}

/** One line, cut down to its kind and the names of its fields when it would be too long. */
function formatLine(
  kind: string,
  fields: Readonly<Record<string, unknown>>,
  at: number,
  redactor: Redactor,
): string {
  const head = { time: new Date(at).toISOString(), kind };
  const line = JSON.stringify({ ...head, ...(redactor.value(fields) as object), ...head });
  const bytes = Buffer.byteLength(line);
  if (bytes <= LINE_BYTES_MAX) {
    return `${line}\n`;
  }
  const names = Object.keys(fields).slice(0, 50);
  return `${JSON.stringify({ ...head, cut_bytes: bytes, fields: redactor.value(names) })}\n`;
}

interface Writer {
  write(line: string): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}

function createWriter({ file, log }: AuditOptions): Writer {
  let waiting: string[] = [];
  let dropped = 0;
  let handle: FileHandle | null = null;
  let closed = false;
  let last = Promise.resolve();
  const writeWaiting = async () => {
    const lines = waiting;
    waiting = [];
    if (lines.length === 0) {
      return;
    }
    try {
      handle ??= await openForAppend(file);
      await handle.appendFile(lines.join(""));
      await handle.datasync();
    } catch (error) {
      log.warn("audit lines not written", { lines: lines.length, file, error });
      await handle?.close().catch((cause) => log.warn("audit file not closed", { error: cause }));
      handle = null;
    }
  };
  return {
    write: (line) => {
      if (closed || waiting.length >= WAITING_LINES_MAX) {
        dropped += 1;
        if (dropped === 1) {
          log.warn("audit lines dropped", { file, closed, waiting: waiting.length });
        }
        return;
      }
      waiting.push(line);
      last = last.then(writeWaiting);
    },
    flush: () => last,
    close: async () => {
      closed = true;
      await last;
      await handle?.close();
      handle = null;
    },
  };
}

/** Opens the file 0600, never through a symbolic link, and ends a line that a crash has torn. */
async function openForAppend(file: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  const handle = await open(file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    await handle.chmod(0o600);
    const { size } = await handle.stat();
    const end = Buffer.alloc(1);
    if (size > 0) {
      await handle.read(end, 0, 1, size - 1);
      if (end.toString() !== "\n") {
        await handle.appendFile("\n");
      }
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
