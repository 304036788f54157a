import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TranscriptKey, TranscriptStore } from "../ports/transcripts.ts";
import { answered } from "./answered.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const PAGE_LINES = 200;
const PAGE_MS_MAX = 10_000;
/** What the CLI makes of the working directory `/clone`; it finds a conversation under any name (measured with CLI 2.1.330). */
const DIRECTORY = "-clone";

/**
 * Puts a shared transcript where the CLI looks for it, in place of what lies there under its id: the
 * store is the truth, the file a copy to work on. Nothing is left when the store has no such
 * conversation. The agent writes in `home`, so no link there is followed; no process of the session
 * may live. Throws TranscriptFailure `unavailable` and what the file system says.
 */
export async function layOutTranscript(
  transcripts: TranscriptStore,
  key: TranscriptKey,
  home: string,
): Promise<void> {
  if (!UUID.test(key.id)) return;
  const projects = join(home, "projects");
  const directory = join(projects, DIRECTORY);
  await makeOwnDirectory(projects);
  for (const name of await readdir(projects)) {
    const path = join(projects, name);
    if (!(await lstat(path)).isDirectory()) continue;
    await chmod(path, 0o700);
    await rm(join(path, `${key.id}.jsonl`), { recursive: true, force: true });
  }
  await makeOwnDirectory(directory);
  await write(transcripts, key, join(directory, `${key.id}.jsonl`));
}

async function write(
  transcripts: TranscriptStore,
  key: TranscriptKey,
  path: string,
): Promise<void> {
  const next = async (from: number | null) =>
    await answered(
      PAGE_MS_MAX,
      transcripts.lines(key, { from, limit: PAGE_LINES, order: "forward" }),
    );
  let lines = await next(null);
  if (lines.length === 0) return;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = await open(path, flags, 0o600);
  try {
    while (lines.length > 0) {
      await file.appendFile(lines.map(({ text }) => `${text}\n`).join(""));
      lines = await next(lines.at(-1)?.at ?? null);
    }
  } finally {
    await file.close();
  }
}

/** A directory that its owner may use, in place of whatever else is there. */
async function makeOwnDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found?.isDirectory() === true) return await chmod(path, 0o700);
  await rm(path, { force: true });
  await mkdir(path, { mode: 0o700 });
}
