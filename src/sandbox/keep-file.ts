import { readFileSync, renameSync, writeFileSync } from "node:fs";

/**
 * Sees to it that a small file of the service has this content. It is replaced by one rename and only
 * when it differs: another jail may be reading it at this moment.
 */
export function keepFile(path: string, content: string | Uint8Array): void {
  const wanted = Buffer.from(content);
  if (present(path)?.equals(wanted) === true) return;
  writeFileSync(`${path}.new`, wanted, { mode: 0o644 });
  renameSync(`${path}.new`, path);
}

function present(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    // Missing or unreadable: it is written.
    return null;
  }
}
