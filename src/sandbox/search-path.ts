import { existsSync } from "node:fs";
import { join } from "node:path";

const SYSTEM = ["/usr/local/bin", "/usr/bin", "/bin"];

/** PATH of a jailed command: the `bin` directories of the tool chains given by `read`, then the system's. */
export function searchPath(read: readonly string[]): string {
  const chains = read.map((path) => join(path, "bin")).filter((path) => existsSync(path));
  return [...chains, ...SYSTEM].join(":");
}
