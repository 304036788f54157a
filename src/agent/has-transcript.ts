import { constants, type Stats } from "node:fs";
import { access, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** The CLI makes one directory per working directory, and a session has one working directory. */
const DIRECTORIES_MAX = 100;

/**
 * Whether `<home>/projects/<any>/<id>.jsonl` exists and has content. The SDK's own getSessionInfo
 * looks into the service's config directory, not into that of the run. An id that is no UUID has
 * no transcript: the CLI would take it as a title. The agent writes there, so a link at any step, or
 * anything that cannot be looked at, is no transcript either: the run then starts a new session.
 */
export async function hasTranscript(home: string, sessionId: string): Promise<boolean> {
  return (await transcriptFiles(home, sessionId)).length > 0;
}

/** Paths of the readable, non-empty transcripts of the session; no step below `home` is a link. */
export async function transcriptFiles(home: string, sessionId: string): Promise<readonly string[]> {
  if (!UUID.test(sessionId)) return [];
  const projects = join(home, "projects");
  const files: string[] = [];
  for (const name of (await namesOf(projects)).slice(0, DIRECTORIES_MAX)) {
    const directory = join(projects, name);
    if ((await look(directory))?.isDirectory() !== true) continue;
    const path = join(directory, `${sessionId}.jsonl`);
    const found = await look(path);
    const isThere = found?.isFile() === true && found.size > 0;
    if (isThere && (await isReadable(path))) files.push(path);
  }
  return files;
}

async function namesOf(directory: string): Promise<readonly string[]> {
  if ((await look(directory))?.isDirectory() !== true) return [];
  // Gone or closed in between.
  return await readdir(directory).catch(() => []);
}

async function look(path: string): Promise<Stats | null> {
  return await lstat(path).catch(() => null);
}

async function isReadable(path: string): Promise<boolean> {
  return await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}
