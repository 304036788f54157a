import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

/** An index ends with the checksum of its pack and its own; a pack ends with its checksum (gitformat-pack(5), SHA-1). */
const CHECKSUM_BYTES = 20;

/**
 * Whether every pack of a repository ends as its index says. A pack or index that a kill or a full disk
 * cut short is found by its last bytes, without reading it; git goes on beside such a pack for a long
 * time, and every clone would get it. A pack without an index is none to git.
 */
export async function hasSoundPacks(repository: string): Promise<boolean> {
  const directory = join(repository, "objects", "pack");
  for (const name of await readdir(directory)) {
    if (!name.endsWith(".idx")) continue;
    const index = await lastBytes(join(directory, name), 2 * CHECKSUM_BYTES);
    const pack = await lastBytes(join(directory, name.replace(/idx$/u, "pack")), CHECKSUM_BYTES);
    if (index === null || pack === null) return false;
    if (!index.subarray(0, CHECKSUM_BYTES).equals(pack)) return false;
  }
  return true;
}

/** Null for a file that is not there or shorter. */
async function lastBytes(path: string, count: number): Promise<Buffer | null> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    if (size < count) return null;
    const bytes = Buffer.alloc(count);
    const { bytesRead } = await file.read(bytes, 0, count, size - count);
    return bytesRead === count ? bytes : null;
  } finally {
    await file.close();
  }
}
