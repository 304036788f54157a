import { checkBranch } from "./names.ts";
import type { RunGit } from "./run-git.ts";

/** Where the cache keeps the branches of the remote. */
const ORIGIN = "refs/remotes/origin/";

/** What stands for bytes that are no UTF-8. */
const UNREADABLE = "\uFFFD";

/** All refs of a cache at one moment, read once and passed down instead of asking git for each. */
export interface RefTable {
  /** Sha of a ref by its full name, or null. */
  sha(ref: string): string | null;
  /** Sha of a branch of the remote, or null. @throws GitFailure when that is no name of a branch */
  branch(name: string): string | null;
  /** Whether a ref stands at exactly this commit: the cache has it, without asking git. */
  standsAt(sha: string): boolean;
  /** How many refs there are below a prefix that ends with a slash. */
  count(prefix: string): number;
  /**
   * The branches of the remote as lines of a `packed-refs` file, sorted by name as git sorts: by bytes.
   * One whose name is no UTF-8 cannot be written as it is, and in its place among the others the name
   * it was read as would hide some of them from git; it is left out.
   */
  packedBranches(): string;
}

/** Reads the refs of a repository with one git; a ref git calls broken is left out. @throws GitFailure */
export async function readRefs(git: RunGit, repository: string): Promise<RefTable> {
  const listed = await git({
    args: ["for-each-ref", "--format=%(objectname) %(refname)"],
    cwd: repository,
  });
  const lines = listed.stdout.split("\n").filter((line) => line !== "");
  const shas = new Map(lines.map((line) => [nameIn(line), line.slice(0, line.indexOf(" "))]));
  const commits = new Set(shas.values());
  const branches = lines.filter(
    (line) => nameIn(line).startsWith(ORIGIN) && !line.includes(UNREADABLE),
  );
  return {
    sha: (ref) => shas.get(ref) ?? null,
    branch: (name) => shas.get(`${ORIGIN}${checkBranch(name)}`) ?? null,
    standsAt: (sha) => commits.has(sha),
    count: (prefix) => lines.filter((line) => nameIn(line).startsWith(prefix)).length,
    packedBranches: () => branches.map((line) => `${line}\n`).join(""),
  };
}

const nameIn = (line: string): string => line.slice(line.indexOf(" ") + 1);
