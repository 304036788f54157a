import { createHash } from "node:crypto";

/** Where the chain stands: how many lines it has had, and the hash of the newest. */
export interface AuditHead {
  readonly count: number;
  /** 64 hex digits. */
  readonly hash: string;
}

/** One line of the chain as it says of itself. */
export interface ChainedLine extends AuditHead {
  /** Hash of the line before. */
  readonly prev: string;
  /** Whether its own hash fits its text: nothing in it was changed since it was written. */
  readonly isWhole: boolean;
  readonly kind: string;
}

/** The head of a chain without lines. */
export const NO_LINES: AuditHead = { count: 0, hash: "0".repeat(64) };

/** A line is never longer than this, bytes; what is longer was not written by us. */
export const LINE_BYTES_MAX = 65_536;

const END = /,"n":(\d{1,15}),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}$/;
const END_BYTES_MAX = 256;
const HASH_END_BYTES = `,"hash":"${NO_LINES.hash}"}`.length;
const KIND = /^\{"time":"[^"]{1,40}","kind":"([^"\\]{1,100})"/;
const KIND_BYTES_MAX = 256;

/**
 * The line that follows `head`, with its newline: the fields, then `n` (its number from 1 on), `prev`
 * (the hash of the line before) and `hash`, SHA-256 of all bytes of the line up to its own hash.
 */
export function chainLine(
  fields: Readonly<Record<string, unknown>>,
  head: AuditHead,
): { readonly line: string; readonly head: AuditHead } {
  const { n: _n, prev: _prev, hash: _hash, ...rest } = fields;
  const count = head.count + 1;
  const body = JSON.stringify({ ...rest, n: count, prev: head.hash }).slice(0, -1);
  const hash = createHash("sha256").update(body).digest("hex");
  return { line: `${body},"hash":"${hash}"}\n`, head: { count, hash } };
}

/** What a line (without its newline) says of itself, or null for one that is none of the chain. */
export function readChainedLine(line: Buffer): ChainedLine | null {
  // The bytes as they are, not as text: two different wrong bytes are the same character there.
  const match = END.exec(line.toString("latin1", Math.max(line.length - END_BYTES_MAX, 0)));
  const [, count, prev, hash] = match ?? [];
  if (count === undefined || prev === undefined || hash === undefined) return null;
  const body = line.subarray(0, line.length - HASH_END_BYTES);
  return {
    count: Number(count),
    prev,
    hash,
    isWhole: createHash("sha256").update(body).digest("hex") === hash,
    kind: KIND.exec(line.toString("latin1", 0, KIND_BYTES_MAX))?.[1] ?? "",
  };
}

/** The head as one line of text, for the database. */
export function formatHead({ count, hash }: AuditHead): string {
  return `${count} ${hash}`;
}

/** The head from that text, or null when it is none. */
export function parseHead(text: string | null): AuditHead | null {
  const [, count, hash] = /^(\d{1,15}) ([0-9a-f]{64})$/.exec(text ?? "") ?? [];
  return count === undefined || hash === undefined ? null : { count: Number(count), hash };
}
