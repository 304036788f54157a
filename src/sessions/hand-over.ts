/** The headings of a hand-over, in this order. */
const HEADINGS = ["Done", "Open", "Decisions", "Pitfalls"] as const;

const BYTES_MAX = 8_192;
const CUT = "\n(cut)";

/**
 * The hand-over in what an old conversation answered: from its first heading on, at most 8 kB, the
 * cut said. Null when the four headings do not stand there, in order: words of another form are no
 * hand-over, and a rotation goes on without them.
 */
export function parseHandOver(answer: string): string | null {
  const lines = answer.replaceAll("\r\n", "\n").split("\n");
  const places: number[] = [];
  for (const [index, line] of lines.entries()) {
    const wanted = HEADINGS[places.length];
    if (wanted !== undefined && isHeading(line, wanted)) places.push(index);
  }
  if (places.length < HEADINGS.length) return null;
  return cut(lines.slice(places[0]).join("\n").trim());
}

function isHeading(line: string, word: string): boolean {
  const match = /^#{1,6} +(\w+):?\s*$/.exec(line);
  return match?.[1]?.toLowerCase() === word.toLowerCase();
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= BYTES_MAX) return text;
  // A character cut in two would be decoded as U+FFFD, which takes more bytes than what was cut.
  const kept = bytes.subarray(0, BYTES_MAX - CUT.length).toString("utf8");
  return `${kept.replace(/\uFFFD+$/u, "")}${CUT}`;
}
