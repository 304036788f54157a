import { lstat } from "node:fs/promises";
import type { Log } from "../ports/observe.ts";
import { type AuditHead, chainLine } from "./audit-chain.ts";
import { createNoting, type HeadNote } from "./note-head.ts";
import { type OpenAuditFile, openAuditFile } from "./open-audit-file.ts";
import { isMissing, setAside } from "./set-aside.ts";

/** What a line says, before it is chained. */
export type LineBody = Readonly<Record<string, unknown>>;

/** Where the record is kept. */
export interface KeptFileOptions {
  /** The path of the newest file; full ones are set aside beside it. */
  readonly file: string;
  readonly log: Log;
  /** Written after the lines it tells of are on the disk. */
  readonly note: HeadNote;
  /** Size from which a new file is begun, bytes; 32 MiB when absent. */
  readonly fileBytesMax?: number;
}

/** What was there when the file was opened. */
export interface Opening {
  readonly findings: OpenAuditFile["findings"];
  /** Lines at its end that are not known to have been written; 0 at the first opening. */
  readonly unknown: number;
}

/** The record's end on the disk; calls do not overlap. All but `drop` throw what the file system says. */
export interface KeptFile {
  isOpen(): boolean;
  /** Sees to it that lines can be appended: the file is as it was left, and not full. */
  ready(): Promise<void>;
  /** Resolves when the lines are on the disk; after a failure some of them may be there. */
  append(bodies: readonly LineBody[]): Promise<void>;
  /** Closes it after a failure, which is said but never thrown; `ready` opens it anew. */
  drop(): Promise<void>;
  /** Notes the head and closes it. */
  close(): Promise<void>;
}

const FILE_BYTES_MAX = 32 * 1024 * 1024;

/**
 * The newest file of the record. One that was removed, replaced or cut off under us is opened anew,
 * which finds the gap; `onOpening` is told of each opening before anything else happens.
 */
export function keepAuditFile(
  options: KeptFileOptions,
  onOpening: (opening: Opening) => void,
): KeptFile {
  const { file, log, note, fileBytesMax = FILE_BYTES_MAX } = options;
  const noting = createNoting(options);
  let current: OpenAuditFile | null = null;
  let head: AuditHead | null = null;

  const opened = async (): Promise<OpenAuditFile> => {
    if (current !== null && (await isAsLeft(file, current))) return current;
    await current?.handle.close();
    current = null;
    const before = head;
    const next = await openAuditFile(file, before ?? (await note.read()));
    current = next;
    head = next.head;
    const unknown = next.head.count - (before?.count ?? next.head.count);
    onOpening({ findings: next.findings, unknown });
    return next;
  };

  const rotate = async ({ handle, from }: OpenAuditFile) => {
    await handle.close();
    current = null;
    await setAside(file, from);
  };

  return {
    isOpen: () => current !== null,
    ready: async () => {
      const target = await opened();
      if (target.size >= fileBytesMax) await rotate(target);
      await opened();
    },
    append: async (bodies) => {
      if (current === null) throw new Error("the audit is not open");
      const target = current;
      const batch = chainAll(bodies, target.head);
      await target.handle.appendFile(batch.text);
      await target.handle.datasync();
      head = batch.head;
      current = { ...target, head, size: target.size + Buffer.byteLength(batch.text) };
      noting.note(head);
    },
    drop: async () => {
      await current?.handle
        .close()
        .catch((error: unknown) => log.warn("audit file not closed", { error }));
      current = null;
    },
    close: async () => {
      await noting.close();
      await current?.handle.close();
      current = null;
    },
  };
}

function chainAll(
  bodies: readonly LineBody[],
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
