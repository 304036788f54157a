import type { LineComment } from "./snapshot.ts";

/** Lines of a file, in its newer version, that lie in or beside a change; both ends belong to it. */
export interface TouchedLines {
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

/** What became of a reviewer's remarks from one round to the next. Each remark is in exactly one list. */
export interface ComparedRounds {
  /** Remarks of the newer round that repeat one of the older. */
  readonly same: readonly LineComment[];
  /** Remarks of the older round that are not repeated. */
  readonly fixed: readonly LineComment[];
  /** New remarks about lines that were changed since the older round, or may have been. */
  readonly newOnChanged: readonly LineComment[];
  /** New remarks about lines that stood there unchanged in the older round. */
  readonly newOnOld: readonly LineComment[];
}

/**
 * Compares two rounds of one reviewer. A remark repeats another at the same line of code (its text
 * counts, not its number, which moves) or with the same words about the same file. `touched`: what
 * was changed between the two rounds; null: unknown, then nothing counts as old code.
 */
export function compareRounds(
  before: readonly LineComment[],
  now: readonly LineComment[],
  touched: readonly TouchedLines[] | null,
): ComparedRounds {
  const open = [...before];
  const same: LineComment[] = [];
  const newOnChanged: LineComment[] = [];
  const newOnOld: LineComment[] = [];
  for (const remark of now) {
    const at = open.findIndex((old) => repeats(remark, old));
    if (at >= 0) {
      open.splice(at, 1);
      same.push(remark);
    } else if (touched !== null && isOnOldCode(remark, touched)) newOnOld.push(remark);
    else newOnChanged.push(remark);
  }
  return { same, fixed: open, newOnChanged, newOnOld };
}

function repeats(remark: LineComment, old: LineComment): boolean {
  if (remark.path !== old.path) return false;
  const line = codeOf(remark);
  return (line !== "" && line === codeOf(old)) || remark.body.trim() === old.body.trim();
}

/**
 * The line of code that is remarked on. A forge gives the hunk up to that line (Forgejo and Gitea:
 * services/gitdiff CutDiffAroundLine); where it gives more, the line is found by its number.
 */
function codeOf({ hunk, line }: LineComment): string {
  let number = 0;
  let last = "";
  for (const text of hunk.trimEnd().split("\n")) {
    const header = /^@@ -\d+(?:,\d+)? \+(\d+)/u.exec(text);
    if (header !== null) {
      number = Number(header[1]) - 1;
      continue;
    }
    last = text.slice(1).trim();
    if (!text.startsWith("-") && !text.startsWith("\\")) number += 1;
    if (number === line) return last;
  }
  return last;
}

function isOnOldCode({ path, line }: LineComment, touched: readonly TouchedLines[]): boolean {
  return line > 0 && !touched.some((at) => at.path === path && at.from <= line && line <= at.to);
}
