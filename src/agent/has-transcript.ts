import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Whether `<home>/projects/<any>/<id>.jsonl` exists and has content. The SDK's own getSessionInfo
 * looks into the service's config directory, not into that of the run. An id that is no UUID has
 * no transcript: the CLI would take it as a title.
 */
export async function hasTranscript(home: string, sessionId: string): Promise<boolean> {
  if (!UUID.test(sessionId)) return false;
  const projects = join(home, "projects");
  const directories = await readdir(projects).catch(missing([] as string[]));
  const sizes = await Promise.all(
    directories.map((directory) =>
      stat(join(projects, directory, `${sessionId}.jsonl`))
        .then(({ size }) => size)
        .catch(missing(0)),
    ),
  );
  return sizes.some((size) => size > 0);
}

/** Absence is an answer; any other trouble with the disk is not. */
function missing<T>(instead: T): (error: unknown) => T {
  return (error) => {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ENOTDIR") return instead;
    throw error;
  };
}
