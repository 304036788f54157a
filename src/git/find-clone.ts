import { realpath } from "node:fs/promises";
import { sep } from "node:path";
import { GitFailure } from "../ports/git.ts";
import { isRealDirectory } from "./clone-files.ts";

/**
 * @returns the real path of a clone, or null when there is none.
 * @throws GitFailure `broken` when it, or a directory above it, is a link that leads out of `root`.
 */
export async function findClone(root: string, path: string): Promise<string | null> {
  if (!(await isRealDirectory(path))) return null;
  const [realRoot, real] = await Promise.all([realpath(root), realpath(path)]);
  if (!real.startsWith(realRoot + sep) || real.slice(realRoot.length) !== path.slice(root.length))
    throw new GitFailure("broken", `${path} is not inside ${root}`);
  return real;
}
