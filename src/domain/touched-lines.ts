import type { TouchedLines } from "./compare-rounds.ts";

const HUNK = /^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/u;

/**
 * The lines that a unified diff touches, with its context lines: what stands beside a change may be
 * remarked on because of it. Null when the diff cannot be read to its end, e.g. because it was cut.
 */
export function touchedLines(diff: string): readonly TouchedLines[] | null {
  const touched: TouchedLines[] = [];
  let path: string | null = null;
  let left = { old: 0, new: 0 };
  for (const line of diff.split("\n")) {
    if (left.old > 0 || left.new > 0) {
      left = afterLine(line, left);
      if (left.old < 0 || left.new < 0) return null;
      continue;
    }
    if (line.startsWith("+++ ")) {
      // A name in quotes holds characters that git writes in another way.
      if (line.startsWith('+++ "')) return null;
      path = line.startsWith("+++ b/") ? line.slice(6).replace(/\t$/u, "") : null;
      continue;
    }
    const hunk = HUNK.exec(line);
    if (hunk === null) continue;
    const [old, from, count] = [Number(hunk[1] ?? 1), Number(hunk[2]), Number(hunk[3] ?? 1)];
    left = { old, new: count };
    if (path !== null) touched.push({ path, from, to: Math.max(from, from + count - 1) });
  }
  return left.old > 0 || left.new > 0 ? null : touched;
}

function afterLine(line: string, left: { old: number; new: number }): { old: number; new: number } {
  if (line.startsWith("-")) return { old: left.old - 1, new: left.new };
  if (line.startsWith("+")) return { old: left.old, new: left.new - 1 };
  // "\ No newline at end of file" is no line.
  if (line.startsWith("\\")) return left;
  return { old: left.old - 1, new: left.new - 1 };
}
