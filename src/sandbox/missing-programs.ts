import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import type { Jail, JailCheck } from "../ports/jail.ts";

/** The package of Debian and its like that a program comes with. */
const PACKAGES = {
  setsid: "util-linux",
  setpriv: "util-linux",
  prlimit: "util-linux",
  nice: "coreutils",
  sleep: "coreutils",
  grep: "grep",
  socat: "socat",
  git: "git",
} as const;

type Program = keyof typeof PACKAGES;

/** What a command line of each mode starts, apart from the shell and bubblewrap, which speaks for itself. */
const NEEDED: Readonly<Record<Jail["mode"], readonly Program[]>> = {
  bwrap: ["setsid", "nice", "sleep", "grep", "setpriv", "prlimit", "socat", "git"],
  none: ["nice", "setpriv"],
};

/**
 * Which programs of a jail of this mode are not in `path` (directories with colons between them), and
 * what to install; null when all are there. An agent would otherwise fail at the first of them, without
 * a word about it.
 */
export function missingPrograms(
  mode: Jail["mode"],
  path: string,
): Extract<JailCheck, { ok: false }> | null {
  const missing = NEEDED[mode].filter((program) => !isThere(program, path));
  if (missing.length === 0) return null;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))];
  return {
    ok: false,
    problem: `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not installed (looked for in ${path})`,
    remedy: `apt-get install ${packages.join(" ")}`,
  };
}

function isThere(program: Program, path: string): boolean {
  return path.split(":").some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not in this one, or not for us.
      return false;
    }
  });
}
