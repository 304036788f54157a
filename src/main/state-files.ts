import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A unix socket's path holds less than 108 bytes; the names in this directory take up to 30. */
const SOCKET_DIR_LENGTH_MAX = 70;

/** An empty private directory for sockets: in the state directory, or elsewhere when its path is too long. */
export async function makeSocketDir(stateDir: string): Promise<string> {
  const own = join(stateDir, "run");
  if (own.length > SOCKET_DIR_LENGTH_MAX) return await mkdtemp(join(tmpdir(), "claude-hooks-"));
  await rm(own, { recursive: true, force: true });
  await mkdir(own, { mode: 0o700 });
  return own;
}

/** Writes `serve.json` so that nobody ever reads half of it. */
export async function writeServeFile(path: string, value: object): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(value)}\n`, { mode: 0o600 });
  await rename(temporary, path);
}
