import { chmod, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import type { Config } from "./config.ts";
import { readSecret, Secret } from "./secret.ts";

const TOKEN_BYTES = 32;

/** Random bytes, as many as asked for. */
export type RandomBytes = (count: number) => Uint8Array;

/** The token of the admin API: the one that was read, or a new one in the file that is missing. */
export async function adminToken(config: Config, randomBytes: RandomBytes): Promise<Secret> {
  const { token } = config.admin;
  return token.kind === "present" ? token.secret : await createAdminToken(token.path, randomBytes);
}

/**
 * Creates the token file (0600; its directory 0700 if it is new) with 32 random bytes in hex. A file
 * that somebody else has created meanwhile is read instead and never written over. Throws what the
 * file system says when neither works.
 */
export async function createAdminToken(path: string, randomBytes: RandomBytes): Promise<Secret> {
  const value = Buffer.from(randomBytes(TOKEN_BYTES)).toString("hex");
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    const file = await open(path, "wx", 0o600);
    try {
      // An unusual umask must not widen or narrow what the service itself needs.
      await chmod(path, 0o600);
      await file.writeFile(`${value}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") {
      return await readExisting(path, error);
    }
    throw error;
  }
  return new Secret(value, { file: path });
}

async function readExisting(path: string, cause: Error): Promise<Secret> {
  const read = await readSecret({ file: path }, {});
  if (!read.ok) {
    throw new Error(`admin.token is ${read.value}: ${read.remedy}`, { cause });
  }
  return read.secret;
}
