import type { Policy } from "./policy.ts";

/** What a branch changes against its base, counted by git and never told by an agent. */
export interface Change {
  readonly paths: readonly string[];
  /** Lines added and removed in text files. */
  readonly lines: number;
  /** Bytes of all new versions of the changed files together. */
  readonly bytes: number;
  /** Paths that become a symbolic link or a submodule. */
  readonly links: readonly string[];
  /** False: it is so large that it was not read to its end. */
  readonly complete: boolean;
}

/** From these on a person looks at a change before it is merged: nobody reads so much by the way. */
export const CHANGE_FILES_MAX = 100;
/** See CHANGE_FILES_MAX. */
export const CHANGE_LINES_MAX = 5_000;
/** See CHANGE_FILES_MAX. */
export const CHANGE_BYTES_MAX = 2_000_000;

const NAMED_MAX = 3;

/**
 * Why a permitted person has to approve exactly this head before it is merged, as the end of a
 * sentence with "because"; null: nothing about the change asks for it. `change`: null when it is not
 * known; then only the forge's list of paths is looked at.
 */
export function whyGuarded(
  change: Change | null,
  paths: readonly string[],
  { repository }: Pick<Policy, "repository">,
): string | null {
  const all = [...new Set([...paths, ...(change?.paths ?? [])])];
  const matchers = repository.protectedPaths.map((glob) => new Bun.Glob(glob));
  const guarded = all.filter((path) => matchers.some((glob) => glob.match(path)));
  if (guarded.length > 0) return `it changes ${named(guarded)}`;
  if (all.length > CHANGE_FILES_MAX) return `it changes more than ${CHANGE_FILES_MAX} files`;
  if (change === null) return null;
  if (!change.complete) return "it is too large to be looked through";
  if (change.links.length > 0) {
    return `it makes ${named(change.links)} a symbolic link or a submodule`;
  }
  if (change.lines > CHANGE_LINES_MAX) return `it changes more than ${CHANGE_LINES_MAX} lines`;
  if (change.bytes > CHANGE_BYTES_MAX) {
    return `its files have more than ${CHANGE_BYTES_MAX / 1_000_000} MB`;
  }
  return null;
}

function named(paths: readonly string[]): string {
  return paths.slice(0, NAMED_MAX).join(", ");
}
