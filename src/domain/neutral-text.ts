/**
 * A text of an agent as it may stand on a forge: it calls nobody, closes nothing, hides nothing.
 *
 * - Characters that are not seen (zero width, direction, tags, variation selectors, controls) and
 *   terminal escapes are taken out.
 * - `<!`, `<?` and the elements whose content HTML does not read as text are broken by a space: no
 *   comment, so no forged hidden line, and nothing that swallows what the service writes below.
 * - `@name` stands in backticks. Forgejo and Gitea look for mentions in the text nodes of the Markdown
 *   only, never in code, and only where `@` follows a space, a bracket or the start
 *   (modules/references/references.go mentionPattern, modules/markup/mdstripper). Where backticks
 *   could pair with others of the text, the name is set apart from its `@` instead.
 * - A closing or reopening word is parted from its reference by an arrow: the forges want nothing but
 *   a colon and a space between them (references.go makeKeywordsPat). Words that an administrator has
 *   added (`[repository.pull-request] CLOSE_KEYWORDS`) are not known here.
 * - A code block that is left open is closed.
 */
export function neutralText(text: string): string {
  const { chunks, openFence } = chunksOf(partedWords(visible(text)));
  const calm = chunks.map(({ isCode, text: chunk }) => (isCode ? chunk : withoutMentions(chunk)));
  const joined = calm.join("\n").trimEnd();
  return openFence === null ? joined : `${joined}\n${openFence}`;
}

/** The same for what must be one line: a title, a path. */
export function neutralLine(text: string): string {
  return withoutMentions(partedWords(visible(text).replace(/\s+/gu, " ").trim()));
}

/** A neutral text after words of the service; its Markdown begins on a line of its own where it has several. */
export function ledBy(lead: string, neutral: string): string {
  return neutral.includes("\n") ? `${lead}\n\n${neutral}` : `${lead} ${neutral}`;
}

/**
 * The numbers of the issues, other than `own`, that a forge would close or reopen on reading this text
 * (a commit message); `null` for a reference that is no plain number of this repository.
 */
export function closedByWords(text: string, own: number): readonly (number | null)[] {
  return [...text.matchAll(CLOSING)].flatMap((match) => {
    const after = text.slice(match.index + match[0].length);
    const number = /^[\\[(<"'*_~`]*[#!](\d{1,10})(?!\d)/u.exec(after)?.[1];
    if (number === undefined) return [null];
    return Number(number) === own ? [] : [Number(number)];
  });
}

/** CSI and OSC sequences, and two-character escapes (ECMA-48), of either form of the introducer. */
const TERMINAL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c\n]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/gu;
const UNSEEN = /[\p{Cf}\p{Default_Ignorable_Code_Point}\p{Cs}]|(?![\t\n])\p{Cc}/gu;
/** Entities of the characters that begin a mention or a reference. */
const ENTITIES: readonly (readonly [RegExp, string])[] = [
  [/&(?:#0{0,9}64|#[xX]0{0,9}40|commat);/gu, "@"],
  [/&(?:#0{0,9}35|#[xX]0{0,9}23|num);/gu, "#"],
  [/&(?:#0{0,9}33|#[xX]0{0,9}21|excl);/gu, "!"],
];
const ROUNDS_MAX = 20;
const BROKEN_BY_SPACE = /<(?=[!?]|\/?(?:script|style|pre|textarea|title|xmp|iframe|noembed)\b)/giu;

/** To a fixpoint: what one step uncovers the next one sees; what is not calm by then is no text. */
function visible(text: string): string {
  let now = text.replace(/\r\n?|[\u2028\u2029\u0085]/gu, "\n");
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const before = now;
    now = now.replace(TERMINAL, "").replace(UNSEEN, "");
    for (const [entity, character] of ENTITIES) now = now.replace(entity, character);
    if (now === before) return now.replace(BROKEN_BY_SPACE, "< ");
  }
  return now.replace(/[&\p{C}]/gu, " ").replace(BROKEN_BY_SPACE, "< ");
}

/** What a forge takes for a reference, with the Markdown that may stand before it. */
const REFERENCE = String.raw`(?=[\\\[(<"'*_~\x60]*(?:[#!]\d|https?:|/?[\w.-]+/[\w.-]+[#!]\d|GH-\d))`;
const WORDS = "(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|reopen(?:s|ed)?)";
const CLOSING = new RegExp(`(?<![\\p{L}\\p{N}])(${WORDS}:?)\\s+${REFERENCE}`, "giu");

function partedWords(text: string): string {
  return text.replace(CLOSING, "$1 → ");
}

const MENTION = /(?<![\p{L}\p{N}])@(?=[\w-])/gu;
const NAMED = /(?<![\p{L}\p{N}])(?:@[\w-](?:[\w.-]*[\w-])?(?:\/[\w-](?:[\w.-]*[\w-])?)?)+/gu;
/** On a line with one of these a backtick need not mean code: links, HTML, escapes, tables. */
const IRREGULAR = /[<|\\]|\]\s*[[(:]|``/u;

function withoutMentions(given: string): string {
  const chunk = given.replace(/\\+(?=@)/gu, "");
  if (!chunk.includes("`")) return chunk.replace(NAMED, "`$&`");
  const lines = chunk.split("\n");
  const isRegular = lines.every((line) => hasPairs(line)) && !IRREGULAR.test(chunk);
  if (!isRegular) return chunk.replace(MENTION, "@ ");
  return lines.map((line) => besideCode(line)).join("\n");
}

/** The even parts lie outside of code; a quoted name beside other backticks could join with them. */
function besideCode(line: string): string {
  const parts = line.split("`");
  if (parts.length === 1) return line.replace(NAMED, "`$&`");
  return parts
    .map((part, index) => (index % 2 === 0 ? part.replace(MENTION, "@ ") : part))
    .join("`");
}

function hasPairs(line: string): boolean {
  return line.split("`").length % 2 === 1;
}

interface Chunk {
  readonly isCode: boolean;
  readonly text: string;
}

/**
 * Lines between blank ones, over which nothing in Markdown but a block reaches; code blocks as they
 * are. A code block is set off by a blank line and stands at the margin: then it is one for every
 * reader (CommonMark 0.31, 4.5), whatever stands before it.
 */
function chunksOf(text: string): {
  readonly chunks: readonly Chunk[];
  readonly openFence: string | null;
} {
  const chunks: Chunk[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  const flush = (isCode: boolean): void => {
    if (lines.length > 0) chunks.push({ isCode, text: lines.join("\n") });
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(?:(`{3,})[^`]*|(~{3,}).*)$/u.exec(line);
    const run = mark?.[1] ?? mark?.[2] ?? null;
    if (fence !== null) {
      lines.push(line);
      const isEnd = run?.startsWith(fence) === true && line.trim() === run;
      if (isEnd) flush(true);
      if (isEnd) fence = null;
      continue;
    }
    const isBlank = line.trim() === "";
    if (run !== null || isBlank) flush(false);
    if (run !== null && isAfterText(chunks)) chunks.push({ isCode: false, text: "" });
    lines.push(run === null ? line : line.trimStart());
    fence = run;
    if (isBlank) flush(false);
  }
  flush(fence !== null);
  return { chunks, openFence: fence };
}

function isAfterText(chunks: readonly Chunk[]): boolean {
  const last = chunks.at(-1);
  return last !== undefined && !last.isCode && last.text.trim() !== "";
}
