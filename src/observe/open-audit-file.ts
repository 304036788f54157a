import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type AuditHead,
  type ChainedLine,
  LINE_BYTES_MAX,
  NO_LINES,
  readChainedLine,
} from "./audit-chain.ts";

/** Enough for the last few lines, whatever their length. */
const TAIL_BYTES = 4 * LINE_BYTES_MAX;

/** Something that was found at the end of the record: the line that tells of it, kind and fields. */
interface AuditFinding {
  readonly kind: "audit_repaired" | "audit_gap";
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The opened file, and where its chain stands. */
export interface OpenAuditFile {
  readonly handle: FileHandle;
  /** Bytes of the file, after the repair. */
  readonly size: number;
  /** Number of the first line of the file, or of the next one while it has none. */
  readonly from: number;
  /** What the next line follows. */
  readonly head: AuditHead;
  readonly findings: readonly AuditFinding[];
}

/**
 * Opens the record 0600, never through a link and only if it is this user's, and finds where its
 * chain goes on. A last line that a kill has torn is cut off. `known` is the head as it was last
 * noted elsewhere (null: nowhere): lines it knows that are not there are a gap, and the chain goes
 * on from `known`, so that the gap stays visible. Only the end of the file is read. Throws what the
 * file system says.
 */
export async function openAuditFile(file: string, known: AuditHead | null): Promise<OpenAuditFile> {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR, O_NONBLOCK } = constants;
  const flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  const handle = await open(file, flags, 0o600);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.nlink !== 1 || stat.uid !== process.getuid?.()) {
      throw new Error(`${file} is not an ordinary file of this user with one name: move it away`);
    }
    await handle.chmod(0o600);
    const { size, repairs } = await endTornLine(handle, stat.size);
    const tail = await readTail(handle, size);
    const found = size === 0 ? await newestRotated(file) : (tail.at(-1) ?? null);
    const gap = gapOf({ found, known, tail, isEmpty: size === 0 });
    const head = gap !== null && known !== null && !isAhead(found, known) ? known : found;
    return {
      handle,
      size,
      from: size === 0 ? (head?.count ?? 0) + 1 : ((await firstNumber(handle)) ?? 1),
      head: head === null ? NO_LINES : { count: head.count, hash: head.hash },
      findings: [...repairs, ...(gap === null ? [] : [gap])],
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The other files of the record, oldest first, with the number each begins with. */
export async function rotatedFiles(
  file: string,
): Promise<readonly { readonly path: string; readonly from: number }[]> {
  const stem = basename(file, ".jsonl");
  const name = new RegExp(`^${stem}-(\\d{1,15})\\.jsonl$`);
  const names = await readdir(dirname(file));
  return names
    .flatMap((entry) => {
      const from = name.exec(entry)?.[1];
      return from === undefined ? [] : [{ path: join(dirname(file), entry), from: Number(from) }];
    })
    .sort((one, other) => one.from - other.from);
}

/** Ends a last line without newline: one that is whole gets it, a torn one is cut off and described. */
async function endTornLine(
  handle: FileHandle,
  size: number,
): Promise<{ readonly size: number; readonly repairs: readonly AuditFinding[] }> {
  const bytes = await readEnd(handle, size);
  const torn = bytes.subarray(bytes.lastIndexOf(10) + 1);
  if (torn.length === 0) return { size, repairs: [] };
  // What is longer than any line of ours is no torn line, and is not ours to remove.
  if (readChainedLine(torn)?.isWhole === true || torn.length > LINE_BYTES_MAX) {
    await handle.appendFile("\n");
    return { size: size + 1, repairs: [repaired({ ended_bytes: torn.length })] };
  }
  await handle.truncate(size - torn.length);
  const cut = { cut_bytes: torn.length, cut_sha256: sha256(torn) };
  return { size: size - torn.length, repairs: [repaired(cut)] };
}

function repaired(fields: AuditFinding["fields"]): AuditFinding {
  return { kind: "audit_repaired", fields };
}

async function readTail(handle: FileHandle, size: number): Promise<(ChainedLine | null)[]> {
  const bytes = await readEnd(handle, size);
  const lines = splitLines(bytes);
  return (bytes.length < size ? lines.slice(1) : lines).map(readChainedLine);
}

async function readEnd(handle: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
  await handle.read(bytes, 0, bytes.length, size - bytes.length);
  return bytes;
}

/** The lines that are ended by a newline. */
function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

async function firstNumber(handle: FileHandle): Promise<number | null> {
  const bytes = Buffer.alloc(LINE_BYTES_MAX);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
  const [first] = splitLines(bytes.subarray(0, bytesRead));
  return first === undefined ? null : (readChainedLine(first)?.count ?? null);
}

/** After a rotation the record is empty and goes on from the file before it. */
async function newestRotated(file: string): Promise<ChainedLine | null> {
  const newest = (await rotatedFiles(file)).at(-1);
  if (newest === undefined) return null;
  const handle = await open(newest.path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return (await readTail(handle, (await handle.stat()).size)).at(-1) ?? null;
  } finally {
    await handle.close();
  }
}

function isAhead(found: AuditHead | null, known: AuditHead): boolean {
  return found !== null && found.count > known.count;
}

/** What is wrong between the end of the record and what is known of it, or null. */
function gapOf(state: {
  readonly found: ChainedLine | null;
  readonly known: AuditHead | null;
  readonly tail: readonly (ChainedLine | null)[];
  readonly isEmpty: boolean;
}): AuditFinding | null {
  const { found, known, tail, isEmpty } = state;
  const gap = (fields: AuditFinding["fields"]): AuditFinding => ({ kind: "audit_gap", fields });
  if (found === null && !isEmpty) return gap({ unreadable_last_line: true });
  if (found !== null && !found.isWhole) return gap({ changed_line: found.count });
  if (known === null || known.count === 0) return null;
  const count = found?.count ?? 0;
  if (count < known.count) return gap({ missing_from: count + 1, missing_to: known.count });
  const same = count === known.count ? found : tail.find((line) => line?.count === known.count);
  return same !== undefined && same?.hash !== known.hash
    ? gap({ changed_line: known.count })
    : null;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
