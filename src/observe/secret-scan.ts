import type { SecretScan } from "../ports/observe.ts";
import { secretForms } from "./secret-forms.ts";

/** A part of a secret this long is told from ordinary words by its mere presence. */
const PART_CHARACTERS = 12;
/** A shorter secret is looked for whole; one shorter than this would be found in ordinary words. */
const WHOLE_CHARACTERS_MIN = 6;
/** Base64 or hex that is long enough to hold a part of a secret. */
const ENCODED = /[A-Za-z0-9+/_-]{16,}={0,2}/gu;
const DEPTH_MAX = 2;
/** `&#115;`, `&#x73;`, `\x73`, `\u0073`, `\u{73}`, `%73`. */
const ESCAPE =
  /&#0{0,8}([0-9]{1,7});?|&#x0{0,8}([0-9a-f]{1,6});?|\\x([0-9a-f]{2})|\\u([0-9a-f]{4})|\\u\{([0-9a-f]{1,6})\}|%([0-9a-f]{2})/giu;
const GROUPS = 6;
const CODE_MAX = 0x10ffff;

/** A scan that can learn further values (a token made at the start, a reload). */
export interface LearningScan extends SecretScan {
  add(values: readonly string[]): void;
}

/**
 * A scan that knows the given secret values. It finds them, twelve characters in a row of them, and
 * the same of their encodings (secret-forms.ts), forwards and backwards, whatever stands between the
 * letters and digits, whatever their case, and inside text that was encoded as base64 or hex.
 * Only letters and digits count, so that a secret in pieces is still one. What it does not find: a
 * secret in pieces that stand far apart, or behind a code that nobody has told it.
 */
export function createSecretScan(values: readonly string[]): LearningScan {
  const parts = new Set<string>();
  const wholes = new Set<string>();
  const add = (more: readonly string[]): void => {
    for (const value of more) {
      for (const form of [value, ...secretForms(value)]) learn(bare(form), parts, wholes);
    }
  };
  add(values);
  return { add, holds: (text) => holds(text, { parts, wholes }, 0) };
}

interface Known {
  readonly parts: ReadonlySet<string>;
  readonly wholes: ReadonlySet<string>;
}

function learn(form: string, parts: Set<string>, wholes: Set<string>): void {
  for (const way of [form, backwards(form)]) {
    if (way.length < PART_CHARACTERS) {
      if (way.length >= WHOLE_CHARACTERS_MIN) wholes.add(way);
      continue;
    }
    for (let at = 0; at + PART_CHARACTERS <= way.length; at += 1) {
      parts.add(way.slice(at, at + PART_CHARACTERS));
    }
  }
}

function holds(text: string, known: Known, depth: number): boolean {
  if (holdsBare(bare(text), known)) return true;
  const unescaped = withoutEscapes(text);
  if (unescaped !== text && holdsBare(bare(unescaped), known)) return true;
  if (depth >= DEPTH_MAX) return false;
  for (const [run] of text.matchAll(ENCODED)) {
    for (const decoded of decodings(run)) if (holds(decoded, known, depth + 1)) return true;
  }
  return false;
}

function holdsBare(letters: string, known: Known): boolean {
  for (const whole of known.wholes) if (letters.includes(whole)) return true;
  for (let at = 0; at + PART_CHARACTERS <= letters.length; at += 1) {
    if (known.parts.has(letters.slice(at, at + PART_CHARACTERS))) return true;
  }
  return false;
}

/** A text with the characters that pages, URLs and programs write as numbers, and wide letters as plain ones. */
function withoutEscapes(text: string): string {
  return text.normalize("NFKC").replace(ESCAPE, (_, ...groups: (string | undefined)[]) => {
    const [decimal, ...hex] = groups.slice(0, GROUPS);
    const digits = hex.find((one) => one !== undefined);
    const code = decimal === undefined ? Number.parseInt(digits ?? "", 16) : Number(decimal);
    return code <= CODE_MAX ? String.fromCodePoint(code) : "";
  });
}

/** In `Basic base64(user:token)` and the like the secret begins anywhere. */
function decodings(run: string): readonly string[] {
  const hex = /^(?:[0-9a-f]{2})+$/iu.test(run) ? [Buffer.from(run, "hex")] : [];
  return [Buffer.from(run, "base64"), ...hex].map((bytes) => bytes.toString("latin1"));
}

function bare(text: string): string {
  return text.replace(/[^A-Za-z0-9]/gu, "").toLowerCase();
}

function backwards(text: string): string {
  return [...text].reverse().join("");
}
