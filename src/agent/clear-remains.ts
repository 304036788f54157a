import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Removes what lies where a new session's transcript will be and is none: an empty file, a link, a
 * directory. Measured with CLI 2.1.330: for an empty file it refuses to start (`Session ID … is
 * already in use`) and to resume (`No conversation found`), so such a session could never go on. A
 * file with content stays. No link below `home` is followed: the agent writes there.
 */
export async function clearRemains(home: string, sessionId: string): Promise<void> {
  if (!UUID.test(sessionId)) return;
  const projects = join(home, "projects");
  for (const directory of await directoriesIn(projects)) {
    const path = join(directory, `${sessionId}.jsonl`);
    const found = await lstat(path).catch(() => null);
    if (found === null || (found.isFile() && found.size > 0)) continue;
    await rm(path, { recursive: true, force: true });
  }
}

async function directoriesIn(projects: string): Promise<readonly string[]> {
  const found = await lstat(projects).catch(() => null);
  if (found?.isDirectory() !== true) return [];
  const entries = await readdir(projects, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(projects, name));
}
