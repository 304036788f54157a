import { lstat } from "node:fs/promises";
import type { Audit, Log } from "../ports/observe.ts";
import { type AuditHead, chainLine } from "./audit-chain.ts";
import { createNoting, type HeadNote } from "./note-head.ts";
import { createOncePerMinute } from "./once-per-minute.ts";
import { type OpenAuditFile, openAuditFile } from "./open-audit-file.ts";
import type { Redactor } from "./redactor.ts";
import { isMissing, setAside } from "./set-aside.ts";

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
const WAITING_LINES_MAX = 10_000;
const FILE_BYTES_MAX = 32 * 1024 * 1024;
/** After a disk error; a new line tries at once. */
const AGAIN_AFTER_MS = 1000;

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
  const writer = createWriter(options);
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

type Body = Readonly<Record<string, unknown>>;

/** What one line says, cut down to its kind and the names of its fields when it would be too long. */
function lineBody(kind: string, fields: Body, at: number, redactor: Redactor): Body {
  const head = { time: new Date(at).toISOString(), kind };
  const body = { ...head, ...(redactor.value(fields) as object), ...head };
  const bytes = Buffer.byteLength(JSON.stringify(body));
  if (bytes <= BODY_BYTES_MAX) {
    return body;
  }
  const names = Object.keys(fields).slice(0, 50);
  return { ...head, cut_bytes: bytes, fields: redactor.value(names) };
}

interface Writer {
  write(body: Body): void;
  start(): Promise<void>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

function createWriter(options: AuditOptions): Writer {
  const { file, log } = options;
  const noting = createNoting(options);
  let waiting: Body[] = [];
  let dropped = 0;
  let current: OpenAuditFile | null = null;
  let head: AuditHead | null = null;
  // Lines of a write that failed: some of them may be on the disk all the same.
  let unsure = 0;
  let closed = false;
  let isEnded = false;
  let isFailing = false;
  let again: ReturnType<typeof setTimeout> | null = null;
  let last = Promise.resolve();

  const addLine = (kind: string, fields: Body) =>
    lineBody(kind, fields, options.now(), options.redactor);

  /** The file as it should be; one that was removed, replaced or cut off under us is opened anew, which finds the gap. */
  const opened = async (): Promise<OpenAuditFile> => {
    if (current !== null && (await isAsLeft(file, current))) return current;
    await current?.handle.close();
    current = null;
    const before = head;
    const next = await openAuditFile(file, before ?? (await options.note.read()));
    current = next;
    head = next.head;
    // What an interrupted write had brought to the disk is not written twice.
    const written = next.head.count - (before?.count ?? next.head.count);
    waiting = waiting.slice(Math.min(Math.max(written, 0), unsure));
    unsure = 0;
    for (const { kind, fields } of next.findings) {
      log[kind === "audit_gap" ? "error" : "warn"](FINDINGS[kind], { file, ...fields });
    }
    waiting = [...next.findings.map(({ kind, fields }) => addLine(kind, fields)), ...waiting];
    return next;
  };

  const writeWaiting = async () => {
    const isIdle = current !== null && waiting.length === 0 && dropped === 0;
    if (isIdle || isEnded) return;
    try {
      if ((await opened()).size >= (options.fileBytesMax ?? FILE_BYTES_MAX)) await rotate();
      const target = await opened();
      if (dropped > 0) {
        waiting = [...waiting, addLine("audit_lost", { lines: dropped })];
        dropped = 0;
      }
      if (waiting.length === 0) return;
      const taken = waiting.length;
      const batch = chainAll(waiting, target.head);
      unsure = taken;
      await target.handle.appendFile(batch.text);
      await target.handle.datasync();
      waiting = waiting.slice(taken);
      unsure = 0;
      head = batch.head;
      current = { ...target, head, size: target.size + Buffer.byteLength(batch.text) };
      noting.note(head);
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn("audit lines not written", { lines: waiting.length, file, error });
      isFailing = true;
      await current?.handle
        .close()
        .catch((cause) => log.warn("audit file not closed", { error: cause }));
      current = null;
      again ??= setTimeout(() => {
        again = null;
        void next();
      }, AGAIN_AFTER_MS);
      again.unref();
    }
  };

  const rotate = async () => {
    if (current === null) return;
    await current.handle.close();
    const { from } = current;
    current = null;
    await setAside(file, from);
  };

  const next = () => {
    last = last.then(writeWaiting);
    return last;
  };
  return {
    write: (body) => {
      if (closed || waiting.length >= WAITING_LINES_MAX) {
        dropped += 1;
        if (dropped === 1) {
          log.warn("audit lines dropped", { file, closed, waiting: waiting.length });
        }
        return;
      }
      waiting.push(body);
      // While the disk is away the timer tries, not every line.
      if (again === null) void next();
    },
    start: async () => await next(),
    flush: async () => await next(),
    close: async () => {
      closed = true;
      await next();
      isEnded = true;
      if (again !== null) clearTimeout(again);
      await noting.close();
      await current?.handle.close();
      current = null;
    },
  };
}

const FINDINGS = {
  audit_repaired: "the last line of the audit was torn and is repaired",
  audit_gap: "the audit is not as it was left: look at it with claude-hooks audit verify",
} as const;

function chainAll(
  bodies: readonly Body[],
  from: AuditHead,
): { readonly text: string; readonly head: AuditHead } {
  let head = from;
  const lines = bodies.map((body) => {
    const chained = chainLine(body, head);
    head = chained.head;
    return chained.line;
  });
  return { text: lines.join(""), head };
}

async function isAsLeft(file: string, { handle, size }: OpenAuditFile): Promise<boolean> {
  const ours = await handle.stat();
  if (ours.size !== size) return false;
  try {
    const there = await lstat(file);
    return there.ino === ours.ino && there.dev === ours.dev;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
