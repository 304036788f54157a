import type { TouchedLines } from "../domain/compare-rounds.ts";
import { type Changes, changeKey, roundsOf } from "../domain/disagreement.ts";
import type { Policy } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { touchedLines } from "../domain/touched-lines.ts";
import { GitFailure } from "../ports/git.ts";
import type { WorkDependencies } from "./dependencies.ts";

const DIFF_BYTES_MAX = 1024 * 1024;
/** A cut may take a half character with it. */
const CUT_BYTES = 4;

/** What was changed between the two rounds of each reviewer that requests changes; what git does not know is left out. */
export async function changesBetween(
  deps: Pick<WorkDependencies, "git">,
  { pull, item }: Snapshot,
  policy: Policy,
): Promise<Changes> {
  const changes = new Map<string, readonly TouchedLines[]>();
  if (pull === null || pull.state !== "open") return changes;
  for (const { before, now } of roundsOf(pull, policy)) {
    const [from, to] = [before.commitId, now.commitId];
    if (from === to) continue;
    try {
      const diff = await deps.git.diff(item.repo, from, to, DIFF_BYTES_MAX);
      const isCut = Buffer.byteLength(diff) > DIFF_BYTES_MAX - CUT_BYTES;
      const touched = isCut ? null : touchedLines(diff);
      if (touched !== null) changes.set(changeKey(from, to), touched);
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
    }
  }
  return changes;
}
