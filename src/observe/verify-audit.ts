import { createReadStream } from "node:fs";
import { lstat } from "node:fs/promises";
import { basename } from "node:path";
import {
  type AuditHead,
  type ChainedLine,
  LINE_BYTES_MAX,
  readChainedLine,
} from "./audit-chain.ts";
import { rotatedFiles } from "./open-audit-file.ts";
import { isMissing } from "./set-aside.ts";

/** One thing that is wrong, or worth knowing: where it stands and what it is. */
interface AuditRemark {
  /** Name of the file, without its directory. */
  readonly file: string;
  /** Line of that file, from 1 on; null for the file as a whole. */
  readonly line: number | null;
  readonly text: string;
}

/** What a look at the whole audit has found. */
export interface AuditReport {
  readonly files: number;
  readonly lines: number;
  /** Number of the first line that is there, and of the last one; 0 when there is none. */
  readonly first: number;
  readonly last: number;
  /** What the database knows of it. */
  readonly noted: AuditHead | null;
  /** At most 100. */
  readonly problems: readonly AuditRemark[];
  /** What is in order and yet worth knowing. */
  readonly notes: readonly AuditRemark[];
}

const REMARKS_MAX = 100;
/** How often the record is read again because a service set a file aside meanwhile. */
const READINGS_MAX = 5;

/**
 * Reads the whole record, changes nothing, and says what is wrong with it: a line that was edited,
 * left out, moved or put in, an end that was cut off. `noted` is the head that the database knows
 * (read before the files, so they are never behind it). A running service may go on writing.
 */
export async function verifyAudit(file: string, noted: AuditHead | null): Promise<AuditReport> {
  for (let reading = 1; ; reading += 1) {
    const before = await filesOf(file);
    const report = await readAll(before, noted, basename(file));
    const after = await filesOf(file);
    const isSame = before.join("\n") === after.join("\n");
    if (report !== null && (isSame || reading >= READINGS_MAX)) return report;
    if (reading >= READINGS_MAX) throw new Error(`${file}: its files change all the time`);
  }
}

async function filesOf(file: string): Promise<readonly string[]> {
  const rotated = (await rotatedFiles(file)).map(({ path }) => path);
  try {
    await lstat(file);
    return [...rotated, file];
  } catch (error) {
    if (isMissing(error)) return rotated;
    throw error;
  }
}

/** Null when a file was set aside or removed before it could be read. */
async function readAll(
  files: readonly string[],
  noted: AuditHead | null,
  current: string,
): Promise<AuditReport | null> {
  try {
    return await reportOn(files, noted, current);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function reportOn(
  files: readonly string[],
  noted: AuditHead | null,
  current: string,
): Promise<AuditReport> {
  const problems = createRemarks();
  const notes = createRemarks();
  let previous: ChainedLine | null = null;
  let first = 0;
  let lines = 0;
  for (const path of files) {
    const file = basename(path);
    let number = 0;
    for await (const { bytes, isEnded } of linesOf(path)) {
      number += 1;
      const at = { file, line: number };
      const line = readChainedLine(bytes);
      if (!isEnded && (file === current || line?.isWhole !== true)) {
        const text = `is not ended (${bytes.length} bytes): it is just being written, or a kill has torn it and the next start repairs it`;
        (file === current ? notes : problems).push({ ...at, text });
        continue;
      }
      lines += 1;
      if (line === null) {
        problems.push({ ...at, text: "is no line of the chain" });
        continue;
      }
      if (first === 0) {
        first = line.count;
        if (first > 1) notes.push({ ...at, text: `is number ${first}: the files before are gone` });
      }
      const problem = wrongWith(line, previous, noted);
      if (problem !== null) problems.push({ ...at, text: problem });
      if (line.kind === "audit_gap") {
        problems.push({ ...at, text: "the service itself found lines changed or missing then" });
      }
      if (line.kind === "audit_repaired" || line.kind === "audit_lost") {
        notes.push({ ...at, text: NOTES[line.kind] });
      }
      previous = line;
    }
  }
  const last = previous?.count ?? 0;
  if (noted !== null && last < noted.count) {
    const text = `the end is missing: it stops at number ${last}, the database knows of ${noted.count}`;
    problems.push({ file: current, line: null, text });
  }
  if (noted === null && lines > 0) {
    notes.push({ file: current, line: null, text: "the database knows nothing of it" });
  }
  const report = { files: files.length, lines, first, last, noted };
  return { ...report, problems: problems.all, notes: notes.all };
}

function createRemarks(): { readonly all: readonly AuditRemark[]; push(one: AuditRemark): void } {
  const all: AuditRemark[] = [];
  return {
    all,
    push: (one) => {
      if (all.length < REMARKS_MAX) all.push(one);
    },
  };
}

const NOTES = {
  audit_repaired: "the service ended or cut off a torn last line before this one",
  audit_lost: "the service could not write lines before this one",
} as const;

/** What is wrong with a line, given the one before it; null when nothing is. */
function wrongWith(
  line: ChainedLine,
  previous: ChainedLine | null,
  noted: AuditHead | null,
): string | null {
  if (!line.isWhole) return `number ${line.count} was edited: its text does not fit its hash`;
  if (previous !== null) {
    const expected = previous.count + 1;
    if (line.count > expected) return missing(expected, line.count - 1);
    if (line.count < expected) return `number ${line.count} is out of order: after ${expected - 1}`;
    if (line.prev !== previous.hash) {
      return `number ${line.count} does not follow the line before it, which was replaced`;
    }
  }
  if (noted?.count === line.count && noted.hash !== line.hash) {
    return `number ${line.count} is not the line the database knows: the record was written anew`;
  }
  return null;
}

function missing(from: number, to: number): string {
  return from === to
    ? `number ${from} is missing before it`
    : `numbers ${from} to ${to} are missing before it`;
}

/** The lines of a file as bytes; of a line that is too long to be one of ours only its beginning. */
async function* linesOf(
  path: string,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isEnded: boolean }> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of createReadStream(path)) {
    let bytes: Buffer = Buffer.concat([rest, piece as Buffer]);
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10)) {
      yield { bytes: bytes.subarray(0, end), isEnded: true };
      bytes = bytes.subarray(end + 1);
    }
    rest = bytes.length > 2 * LINE_BYTES_MAX ? bytes.subarray(0, LINE_BYTES_MAX) : bytes;
  }
  if (rest.length > 0) yield { bytes: rest, isEnded: false };
}
