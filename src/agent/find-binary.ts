import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/**
 * The CLI that comes with the SDK as a package of its own per platform
 * (`@anthropic-ai/claude-agent-sdk-linux-x64/claude`); null when none is installed.
 */
export function findBinary(): string | null {
  const require = createRequire(import.meta.url);
  const libc = ["", "-musl"];
  for (const suffix of libc) {
    const name = `@anthropic-ai/claude-agent-sdk-${process.platform}-${process.arch}${suffix}`;
    try {
      const path = join(dirname(require.resolve(`${name}/package.json`)), "claude");
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not installed for this libc; the other one may be.
    }
  }
  return null;
}
