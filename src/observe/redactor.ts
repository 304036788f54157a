import { secretForms } from "./secret-forms.ts";

/** Takes secrets out of everything that leaves the process for people: logs, audit, comments, pages. */
export interface Redactor {
  /** The text with every known secret replaced by `[secret]`, and control characters made visible. */
  text(text: string): string;
  /** A plain copy of any value, safe for JSON: strings redacted, depth and sizes bounded. */
  value(value: unknown): unknown;
  /** Learns further secret values (a reload); those it knows stay known. */
  add(values: readonly string[]): void;
}

/**
 * A redactor that knows the given secret values: each is found as it is and in the forms of
 * `secretForms`. Without any value it still takes out credentials in URLs and 40 hex digits
 * (a forge's access token) that follow the word token or authorization.
 */
export function createRedactor(values: readonly string[]): Redactor {
  const known = new Set(values);
  let pattern = compile(known);
  const text = (input: string) => redactText(input, pattern);
  return {
    text,
    value: (input) => plain(input, text, 0),
    add: (more) => {
      for (const value of more) {
        known.add(value);
      }
      pattern = compile(known);
    },
  };
}

const MARK = "[secret]";
/** A longer text is cut: nothing that belongs into a log line is longer. */
const TEXT_CHARACTERS_MAX = 16_384;
const DEPTH_MAX = 6;
const ENTRIES_MAX = 100;

/** Lengths are bounded so that no text makes the search slow. */
const URL_USER_INFO = /:\/\/[^\s/"'<>]{1,1000}@/g;
const TOKEN_HEX =
  /((?:token|authorization)[^A-Za-z0-9]{0,8}(?:(?:bearer|basic|token)[^A-Za-z0-9]{1,8})?)[0-9a-f]{40}\b/gi;
/** Control characters except tab and newline, and those that turn the direction of text. */
const UNSAFE = /[\p{Cc}\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu;

function compile(values: ReadonlySet<string>): RegExp | null {
  const forms = [...values].flatMap(secretForms).sort((a, b) => b.length - a.length);
  const sources = [...new Set(forms)].map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  return sources.length === 0 ? null : new RegExp(sources.join("|"), "g");
}

function redactText(input: string, pattern: RegExp | null): string {
  const known = pattern === null ? input : input.replace(pattern, MARK);
  const cut =
    known.length > TEXT_CHARACTERS_MAX
      ? `${known.slice(0, TEXT_CHARACTERS_MAX)}… (${known.length - TEXT_CHARACTERS_MAX} more)`
      : known;
  return cut
    .replace(URL_USER_INFO, `://${MARK}@`)
    .replace(TOKEN_HEX, `$1${MARK}`)
    .replace(UNSAFE, (character) =>
      character === "\n" || character === "\t" ? character : escapeCharacter(character),
    );
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function plain(value: unknown, text: (input: string) => string, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return text(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
    case "undefined":
      return value;
    case "object":
      return value === null ? null : plainObject(value, text, depth);
    case "bigint":
    case "symbol":
    case "function":
      return text(String(value).slice(0, 200));
  }
}

function plainObject(value: object, text: (input: string) => string, depth: number): unknown {
  if (depth >= DEPTH_MAX) {
    return "[deeper]";
  }
  if (value instanceof Error) {
    return plainError(value, text, depth);
  }
  if (Array.isArray(value)) {
    return value.slice(0, ENTRIES_MAX).map((entry) => plain(entry, text, depth + 1));
  }
  if ("toJSON" in value && typeof value.toJSON === "function") {
    return plain(value.toJSON(), text, depth + 1);
  }
  const entries = Object.entries(value).slice(0, ENTRIES_MAX);
  return Object.fromEntries(
    entries.map(([key, entry]) => [text(key), plain(entry, text, depth + 1)]),
  );
}

/** An error's own fields would hold whole requests in some libraries; only what people need is kept. */
function plainError(error: Error, text: (input: string) => string, depth: number): unknown {
  return {
    type: error.name,
    message: text(error.message),
    ...("kind" in error ? { kind: plain(error.kind, text, depth + 1) } : {}),
    ...("code" in error ? { code: plain(error.code, text, depth + 1) } : {}),
    ...(error.stack === undefined ? {} : { stack: text(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: plain(error.cause, text, depth + 1) }),
  };
}
