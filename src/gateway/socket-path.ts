import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** sun_path holds 108 bytes on Linux (unix(7)); some are left for the reader's safety. */
const PATH_BYTES_MAX = 100;

/** A socket cannot be made where it was asked for. */
export class SocketPathTooLong extends Error {
  override readonly name = "SocketPathTooLong";
}

/** Makes `dir` private and returns a free path in it. Throws SocketPathTooLong. */
export async function socketPath(dir: string, name: string): Promise<string> {
  const path = join(dir, `${name}.sock`);
  if (Buffer.byteLength(path) >= PATH_BYTES_MAX) {
    throw new SocketPathTooLong(
      `the socket path ${path} has ${Buffer.byteLength(path)} bytes, ${PATH_BYTES_MAX - 1} are possible: choose a shorter state directory`,
    );
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await chmod(dir, 0o700);
  await rm(path, { force: true });
  return path;
}
