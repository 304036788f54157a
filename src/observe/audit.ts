import type { Audit, Log } from "../ports/observe.ts";
import { createOncePerMinute } from "../time/once-per-minute.ts";
import { createAuditWriter } from "./audit-writer.ts";
import type { LineBody } from "./keep-audit-file.ts";
import type { HeadNote } from "./note-head.ts";
import type { Redactor } from "./redactor.ts";

/** The kind under which refusals before the signature holds are recorded; `reason` is a field of it. */
export const DELIVERY_REFUSED = "delivery_refused";

/** Where the audit is written, and by what its end is known again. */
export interface AuditOptions {
  /** `audit.jsonl` in the state directory, which must exist. */
  readonly file: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly redactor: Redactor;
  readonly log: Log;
  /** Written after the lines it tells of are on the disk, at most once a second. */
  readonly note: HeadNote;
  /** Size from which a new file is begun, bytes; 32 MiB when absent. */
  readonly fileBytesMax?: number;
}

/** The audit as the service opens and closes it. */
export interface AuditFile extends Audit {
  /** Opens the record, repairs a torn end and says so; resolves when that is on the disk. */
  start(): Promise<void>;
  /** Resolves when every line appended so far is on the disk, or waits for it to come back (with a warning). */
  flush(): Promise<void>;
  /** Flushes, notes the head and closes the file; later lines are dropped with a warning. */
  close(): Promise<void>;
}

/** Kinds that anybody can bring about as often as he likes, and the field of which there is one line a minute. */
const LIMITED: Readonly<Record<string, string>> = {
  [DELIVERY_REFUSED]: "reason",
  egress_refused: "destination",
  tool_denied: "tool",
  login_refused: "from",
};

const BODY_BYTES_MAX = 16_384;

/**
 * The append-only record: one JSON object a line, `time` (ISO 8601) and `kind` first, each line
 * chained to the one before by its hash (audit-chain.ts), the files readable for their owner only. A full file is set aside
 * as `audit-<number of its first line>.jsonl`. Writes happen one after the other and never disturb
 * the caller: on a disk error lines wait, at most 10 000, and how many were lost is then a line itself.
 * Of DELIVERY_REFUSED there is one line per reason and minute, and so of other kinds that strangers
 * and agents can repeat; `more` of the following one counts what was left out since.
 */
export function createAudit(options: AuditOptions): AuditFile {
  const oncePerMinute = new Map(Object.keys(LIMITED).map((kind) => [kind, createOncePerMinute()]));
  const writer = createAuditWriter({
    ...options,
    bodyOf: (kind, fields) => lineBody(kind, fields, options.now(), options.redactor),
  });
  return {
    append: (kind, fields) => {
      const at = options.now();
      let all = fields;
      const turnOf = oncePerMinute.get(kind);
      if (turnOf !== undefined) {
        const turn = turnOf(String(fields[LIMITED[kind] ?? ""] ?? ""), at);
        if (!turn.now) {
          return;
        }
        all = turn.skipped === 0 ? fields : { ...fields, more: turn.skipped };
      }
      writer.write(lineBody(kind, all, at, options.redactor));
    },
    start: writer.start,
    flush: writer.flush,
    close: writer.close,
  };
}

/** What one line says, cut down to its kind and the names of its fields when it would be too long. */
function lineBody(kind: string, fields: LineBody, at: number, redactor: Redactor): LineBody {
  const head = { time: new Date(at).toISOString(), kind };
  const body = { ...head, ...(redactor.value(fields) as object), ...head };
  const bytes = Buffer.byteLength(JSON.stringify(body));
  if (bytes <= BODY_BYTES_MAX) {
    return body;
  }
  const names = Object.keys(fields).slice(0, 50);
  return { ...head, cut_bytes: bytes, fields: redactor.value(names) };
}
