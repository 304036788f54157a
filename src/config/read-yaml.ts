import { isAlias, isNode, LineCounter, parseDocument, visit } from "yaml";
import { type ConfigProblem, formatKey } from "./problem.ts";

/** The parsed file: its plain value, and in which line a key stands. */
export interface YamlDocument {
  readonly value: unknown;
  /** Line from 1 of the value at this path, or of the nearest mapping around it. */
  lineOf(path: readonly PropertyKey[]): number | null;
}

/** The parsed document, or everything that is wrong with it. */
export type YamlResult =
  | { readonly ok: true; readonly document: YamlDocument }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

const FILE_BYTES_MAX = 1_048_576;
const ALIASES_MAX = 50;
const PROBLEMS_MAX = 20;

/**
 * Parses one YAML 1.2 document with a mapping at its top. Refused: more than 1 MiB, bytes that are
 * no UTF-8, several documents, duplicate keys, tags beyond the core schema, and aliases that
 * multiply. Messages never quote the text: it may hold a secret somebody wrote where it does not belong.
 */
export function readYaml(bytes: Uint8Array): YamlResult {
  if (bytes.byteLength > FILE_BYTES_MAX) {
    return refuse(`${bytes.byteLength} bytes long`, `keep it below ${FILE_BYTES_MAX} bytes`, null);
  }
  const text = decode(bytes);
  if (text === null) {
    return refuse("not UTF-8", "save the file as UTF-8", null);
  }
  const lines = new LineCounter();
  const parsed = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: "core",
    uniqueKeys: true,
  });
  const faults = [...parsed.errors, ...parsed.warnings];
  if (faults.length > 0) {
    const problems = faults.slice(0, PROBLEMS_MAX).map((fault): ConfigProblem => {
      const position = lines.linePos(fault.pos[0]);
      return {
        key: "file",
        value: `not valid YAML at line ${position.line}, column ${position.col}`,
        remedy: EXPLAINED[fault.code] ?? `mend the YAML (${fault.code})`,
        line: position.line,
      };
    });
    return { ok: false, problems };
  }
  return toValue(parsed, lines);
}

const EXPLAINED: Readonly<Record<string, string>> = {
  DUPLICATE_KEY: "the same key stands twice in one mapping; keep one of them",
  MULTIPLE_DOCS: "keep exactly one document in the file",
  TAG_RESOLVE_FAILED: "leave out the tag (a word beginning with !)",
  TAB_AS_INDENT: "indent with spaces, not tabs",
  BAD_INDENT: "indent the keys of one mapping alike, and close every bracket and quote",
};

function toValue(parsed: ReturnType<typeof parseDocument>, lines: LineCounter): YamlResult {
  let aliases = 0;
  visit(parsed, {
    Alias: () => {
      aliases += 1;
    },
  });
  if (aliases > ALIASES_MAX) {
    return refuse(
      `using ${aliases} aliases`,
      `use at most ${ALIASES_MAX} (words beginning with *)`,
    );
  }
  let value: unknown;
  try {
    value = parsed.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (error) {
    if (error instanceof ReferenceError) {
      return refuse("using aliases that multiply or lead nowhere", "write the values out");
    }
    throw error;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const what = value === null ? "empty" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
    return refuse(
      what,
      "write a mapping with the keys forge, webhook, model, agents, repositories",
    );
  }
  return { ok: true, document: { value, lineOf: (path) => lineOf(parsed, lines, path) } };
}

function lineOf(
  parsed: ReturnType<typeof parseDocument>,
  lines: LineCounter,
  path: readonly PropertyKey[],
): number | null {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = parsed.getIn(path.slice(0, length), true);
    if (isNode(node) && !isAlias(node) && node.range != null) {
      return lines.linePos(node.range[0]).line;
    }
  }
  return null;
}

/** Bytes to text, or null when they are not UTF-8. */
function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) {
      return null;
    }
    throw error;
  }
}

function refuse(value: string, remedy: string, line: number | null = 1): YamlResult {
  return { ok: false, problems: [{ key: formatKey([]), value, remedy, line }] };
}
