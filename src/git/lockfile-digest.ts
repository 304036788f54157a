import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { isRealDirectory, openInside } from "./clone-files.ts";

/** Files that fix the versions of what a project installs. */
const LOCKFILES = new Set([
  ...["package-lock.json", "npm-shrinkwrap.json", "bun.lock", "bun.lockb", "yarn.lock"],
  ...["pnpm-lock.yaml", "deno.lock", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"],
  ...["requirements.txt", "go.sum", "Cargo.lock", "Gemfile.lock", "composer.lock", "mix.lock"],
  ...["pubspec.lock", "Package.resolved", "packages.lock.json", "gradle.lockfile", "flake.lock"],
]);
const SKIPPED = new Set(["node_modules", "vendor", "target", "dist", "build"]);
const DEPTH_MAX = 4;
const DIRECTORIES_MAX = 2_000;
const FILES_MAX = 200;
const FILE_BYTES_MAX = 32 * 1024 * 1024;

/**
 * Digest over path and content of every lockfile in the clone, to four directories deep; the same
 * digest means that nothing has to be installed again. Links are not followed; hidden directories
 * and those that hold installed code are left out. `root`: real path. @throws GitFailure
 */
export async function lockfileDigest(root: string): Promise<string> {
  const digest = createHash("sha256");
  for (const path of (await lockfiles(root)).sort()) {
    const handle = await openInside(root, path);
    if (handle === null) continue;
    try {
      const { size } = await handle.stat();
      digest.update(`${path}\0${size}\0`);
      if (size <= FILE_BYTES_MAX) digest.update(await handle.readFile());
    } finally {
      await handle.close();
    }
  }
  return digest.digest("hex");
}

async function lockfiles(root: string): Promise<string[]> {
  const found: string[] = [];
  const waiting: { readonly path: string; readonly depth: number }[] = [{ path: "", depth: 0 }];
  let seen = 0;
  for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
    seen += 1;
    if (seen > DIRECTORIES_MAX || found.length >= FILES_MAX) break;
    if (!(await isRealDirectory(join(root, at.path)))) continue;
    const entries = await readdir(join(root, at.path), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(at.path, entry.name);
      if (entry.isFile() && LOCKFILES.has(entry.name)) found.push(path);
      const isSkipped = entry.name.startsWith(".") || SKIPPED.has(entry.name);
      if (entry.isDirectory() && !isSkipped && at.depth < DEPTH_MAX)
        waiting.push({ path, depth: at.depth + 1 });
    }
  }
  return found;
}
