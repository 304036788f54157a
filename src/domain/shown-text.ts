import { isUnseen, withoutUnseen } from "./unseen.ts";

/** Stands where a person who reads the page sees nothing. */
const COMMENT_GONE = "[a hidden comment was left out]";
const ROUNDS_MAX = 20;

/**
 * What people wrote on a forge as a person who reads the page sees it; an agent gets no other text.
 *
 * - Characters without a shape and terminal escapes are taken out, also those written as entities.
 * - HTML comments and link definitions that lead nowhere (`[//]: # (…)`), which the page does not
 *   show, are replaced by a remark; our own hidden line is taken out without one. A comment in a code
 *   block is shown by the page and stays, but only in a text without any HTML outside of its code
 *   blocks: with it, what a forge takes for code cannot be told from here.
 * - Characters and entities of visible signs stay as they are: nothing becomes a comment by it.
 *
 * Doing it twice is doing it once.
 */
export function shownText(text: string): string {
  let now = text;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const before = now;
    now = withoutHiddenMarkup(withoutUnseenEntities(withoutUnseen(now)));
    if (now === before) return now;
  }
  // Nobody nests so deep to be read: what still hides something loses the signs it hides with.
  return withoutUnseen(now).replace(/[<&]/gu, " ");
}

/** The same for what must be one line: a title, a name, a path. */
export function shownLine(text: string): string {
  return shownText(text).replace(/\s+/gu, " ").trim();
}

const ENTITY = /&(?:#(\d{1,9})|#[xX]([\da-fA-F]{1,8})|([A-Za-z]{2,24}));/gu;
/** HTML's names of characters without a shape. */
const UNSEEN_NAMES: ReadonlySet<string> = new Set(
  "shy zwj zwnj lrm rlm NoBreak ApplyFunction af InvisibleTimes it InvisibleComma ic ZeroWidthSpace NegativeVeryThinSpace NegativeThinSpace NegativeMediumSpace NegativeThickSpace".split(
    " ",
  ),
);
const CODE_POINT_MAX = 0x10_ff_ff;

function withoutUnseenEntities(text: string): string {
  return text.replace(ENTITY, (entity, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return UNSEEN_NAMES.has(name) ? "" : entity;
    const point = decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal);
    const isNoText = point === 0 || point > CODE_POINT_MAX;
    return isNoText || isUnseen(String.fromCodePoint(point)) ? "" : entity;
  });
}

function withoutHiddenMarkup(text: string): string {
  const chunks = chunksOf(text);
  const outside = chunks.filter(({ isCode }) => !isCode);
  if (outside.some((chunk) => /<[A-Za-z/!?]/u.test(chunk.text))) return withoutHidden(text);
  return chunks.map((chunk) => (chunk.isCode ? chunk.text : withoutHidden(chunk.text))).join("\n");
}

const OWN_LINE = /\n*<!-- claude-hooks:[^\n]*? -->/gu;
const COMMENT = /<!--[\s\S]*?-->|<!-->|<!--->/gu;
/** One that begins a line and is never closed hides all the rest (CommonMark, HTML blocks of type 2). */
const OPEN_COMMENT = /^ {0,3}<!--[\s\S]*$/mu;
const NOWHERE = /^ {0,3}\[[^\]\n]{1,999}\]:[ \t]*\n?[ \t]*(?:#|<#?>)(?:[ \t]+[^\n]*)?$/gmu;

function withoutHidden(text: string): string {
  return text
    .replace(OWN_LINE, "")
    .replace(COMMENT, COMMENT_GONE)
    .replace(OPEN_COMMENT, COMMENT_GONE)
    .replace(NOWHERE, COMMENT_GONE);
}

interface Chunk {
  readonly isCode: boolean;
  readonly text: string;
}

/** Closed code blocks that begin at the margin, and what lies between them. */
function chunksOf(text: string): readonly Chunk[] {
  const chunks: Chunk[] = [];
  const lines = text.split("\n");
  let start = 0;
  for (let at = 0; at < lines.length; at += 1) {
    const fence = /^(`{3,}|~{3,})[\w+#.-]*[ \t]*$/u.exec(lines[at] ?? "")?.[1];
    const end = fence === undefined ? -1 : lines.indexOf(fence, at + 1);
    if (end < 0) continue;
    if (at > start) chunks.push({ isCode: false, text: lines.slice(start, at).join("\n") });
    chunks.push({ isCode: true, text: lines.slice(at, end + 1).join("\n") });
    at = end;
    start = end + 1;
  }
  if (start < lines.length) chunks.push({ isCode: false, text: lines.slice(start).join("\n") });
  return chunks;
}
