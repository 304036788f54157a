import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { Jail, JailCheck, JailSpec } from "../ports/jail.ts";
import { NOT_INSTALLED } from "./bwrap-command.ts";
import { missingPrograms } from "./missing-programs.ts";
import { plainCommand } from "./plain-command.ts";
import { searchPath } from "./search-path.ts";

const NOTHING = { gatewaySocket: null, egressSocket: null, read: [], env: {} } as const;
const PROBE_MS_MAX = 10_000;
const OPT_OUT = "or, knowing what it means, set sandbox: { mode: none }";

/** Run inside; $1 is a file of the host that must be out of sight. Each exit code is a finding. */
const PROBE = `
command -v socat >/dev/null || exit 41
command -v git >/dev/null || exit 42
[ ! -e "$1" ] || exit 43
[ "$(grep -c : /proc/net/dev)" = 1 ] || exit 44
[ ! -w /proc/sys/kernel/core_pattern ] || exit 47
touch /usr/.claude-hooks-probe 2>/dev/null && exit 45
touch /clone/probe "$HOME/probe" || exit 46
exit 40
`;
const CONFINED = 40;

const FINDINGS: Readonly<Record<number, { problem: string; remedy: string }>> = {
  41: { problem: "socat is not installed", remedy: "apt-get install socat" },
  42: { problem: "git is not installed under /usr", remedy: "apt-get install git" },
  43: { problem: "a file of the host is visible inside the jail", remedy: "report this as a bug" },
  44: { problem: "the jail has a network of its own", remedy: "report this as a bug" },
  45: { problem: "the system is writable inside the jail", remedy: "report this as a bug" },
  47: {
    problem: "kernel settings are writable inside the jail",
    remedy: "run the service as a user of its own, not as root",
  },
  46: {
    problem: "the clone or the session's directory is not writable inside the jail",
    remedy: "let the state directory belong to the user of the service",
  },
};

/**
 * Starts a real jailed command under `dir` and lets it look around; removes its traces. What it needs
 * besides bubblewrap is looked for in `path`, as a search path.
 */
export async function checkBwrap(
  jail: Pick<Jail, "command">,
  dir: string,
  path = searchPath([]),
): Promise<JailCheck> {
  const missing = missingPrograms("bwrap", path);
  if (missing !== null) return missing;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const place = await mkdtemp(join(dir, "check-"));
  try {
    const [clone, home, secret] = ["clone", "home", "secret"].map((name) => join(place, name)) as [
      string,
      string,
      string,
    ];
    await Promise.all([mkdir(clone), mkdir(home), writeFile(secret, "out of sight\n")]);
    return await probe(jail, { clone, home }, secret);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Without a sandbox only the tie to the life of the service is left to be proved. */
export async function checkPlain(path = searchPath([])): Promise<JailCheck> {
  const missing = missingPrograms("none", path);
  if (missing !== null) return missing;
  const command = plainCommand({ ...NOTHING, clone: "/", home: "/" }, "true", []);
  const result = await execa(command.file, [...command.args], {
    cwd: command.cwd,
    reject: false,
    timeout: PROBE_MS_MAX,
  });
  if (result.exitCode === 0) return { ok: true };
  return {
    ok: false,
    problem: `setpriv cannot start a command: ${result.stderr || result.shortMessage}`,
    remedy: "apt-get install util-linux",
  };
}

async function probe(
  jail: Pick<Jail, "command">,
  place: Pick<JailSpec, "clone" | "home">,
  secret: string,
): Promise<JailCheck> {
  const command = jail.command({ ...NOTHING, ...place }, "/bin/sh", ["-c", PROBE, "probe", secret]);
  const result = await execa(command.file, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env },
    extendEnv: false,
    reject: false,
    timeout: PROBE_MS_MAX,
  });
  if (result.exitCode === CONFINED) return { ok: true };
  const finding = FINDINGS[result.exitCode ?? -1];
  if (finding !== undefined) return { ok: false, ...finding };
  if (result.stderr.includes(NOT_INSTALLED)) {
    return {
      ok: false,
      problem: "bubblewrap is not installed (bwrap is not in PATH)",
      remedy: `apt-get install bubblewrap socat, ${OPT_OUT}`,
    };
  }
  return notStarted(
    result.stderr || `it ended with code ${result.exitCode ?? result.signal ?? "unknown"}`,
  );
}

/** bubblewrap itself refused; its words are the only source, so they are shown too. */
function notStarted(stderr: string): JailCheck {
  const words = stderr.trim().split("\n").slice(-3).join(" ").slice(0, 500);
  if (/namespace|uid map|Operation not permitted|Permission denied/i.test(words)) {
    return {
      ok: false,
      problem: `bubblewrap may not create namespaces: ${words}`,
      remedy: `allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0; in a container: --security-opt seccomp=unconfined or --privileged), ${OPT_OUT}`,
    };
  }
  return {
    ok: false,
    problem: `bubblewrap did not start a command: ${words}`,
    remedy: `install bubblewrap 0.8 or newer and run the command by hand, ${OPT_OUT}`,
  };
}
