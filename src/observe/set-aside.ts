import { lstat, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Gives a full file of the record a name of its own, with the number of its first line, never over
 * another one, and brings that to the disk. Throws what the file system says.
 */
export async function setAside(file: string, from: number): Promise<void> {
  const stem = file.replace(/\.jsonl$/, "");
  let target = `${stem}-${from}.jsonl`;
  for (let number = from + 1; await exists(target); number += 1) {
    target = `${stem}-${number}.jsonl`;
  }
  await rename(file, target);
  const directory = await open(dirname(file), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Whether the file system said that there is no such file. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
