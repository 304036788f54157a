import { existsSync, lstatSync, mkdirSync, readlinkSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import type { JailedCommand, JailSpec } from "../ports/jail.ts";
import { cloneMounts, ownDirectoryMount } from "./clone-mounts.ts";
import { jailEtc } from "./jail-etc.ts";
import { keepFile } from "./keep-file.ts";
import { searchPath } from "./search-path.ts";
import { seccompFilter } from "./seccomp-filter.ts";

/** Fixed places inside: transcripts then name the same paths on every host. */
const CLONE = "/clone";
const HOME = "/home/agent";
const GATEWAY_SOCKET = "/run/gateway.sock";
const EGRESS_SOCKET = "/run/egress.sock";
const GATEWAY_PORT = 8080;
const EGRESS_PORT = 8081;

/** These lie in memory; more than this ends in "no space left on device". */
const TMP_BYTES_MAX = 2 * 1024 * 1024 * 1024;
const RUN_BYTES_MAX = 16 * 1024 * 1024;
const SHARED_MEMORY_BYTES_MAX = 512 * 1024 * 1024;

/** One file an agent writes. */
const FILE_BYTES_MAX = 8 * 1024 * 1024 * 1024;
/** Processes and threads of the user in this jail; the kernel does not count those of root. */
const PROCESSES_MAX = 4096;

/**
 * Lets the two sockets be reached by programs that only know TCP, and starts the command when
 * both answer: a fast command would otherwise find nobody listening. $1 and $2 are the ports
 * ("" = none), the rest is the command, with which socat ends and which gets the limits. /proc/net/tcp
 * has ports in hexadecimal, 0A = LISTEN.
 */
const BRIDGE = `
bridge() {
  [ -n "$1" ] || return 0
  setpriv --pdeathsig KILL -- socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr,backlog=64" "UNIX-CONNECT:$2" </dev/null >/dev/null 2>&1 &
  tries=0
  until grep -q "$(printf ':%04X 00000000:0000 0A' "$1")" /proc/net/tcp; do
    tries=$((tries + 1))
    [ "$tries" -lt 500 ] || { echo "claude-hooks: socat does not listen on port $1" >&2; exit 97; }
    sleep 0.01
  done
}
bridge "$1" ${GATEWAY_SOCKET}
bridge "$2" ${EGRESS_SOCKET}
shift 2
exec prlimit --core=0 --fsize=${FILE_BYTES_MAX} --nproc=${PROCESSES_MAX} -- "$@"
`;

/**
 * Agents stand behind the service when both want the processor: with eight of them at work on two
 * cores deliveries waited half a second and more for their answer (bench/intake.ts).
 */
export const NICENESS = 10;
/** 2 s: an agent that does not step back is better than one that does not start. */
const AUTOGROUP_TRIES_MAX = 40;

/** What a host without bubblewrap says; the shell below starts it, so no spawn fails. */
export const NOT_INSTALLED = "claude-hooks: bubblewrap is not installed";

/**
 * Opens the filter for bubblewrap, which takes it as a descriptor only, and becomes bubblewrap: the
 * process stays the same. $0 is the filter, $@ bubblewrap and its arguments. Where the kernel groups
 * processes by session, niceness counts only within one: then the session as a whole steps back, too
 * (sched(7), "The autogroup feature"). Of all who are not root one may do so in 100 ms (EAGAIN, Linux:
 * kernel/sched/autogroup.c): of several agents that start at once the others try again.
 */
const WITH_FILTER = `command -v "$1" >/dev/null || { echo "${NOT_INSTALLED}" >&2; exit 127; }
if [ -w /proc/self/autogroup ]; then
  tries=0
  until echo ${NICENESS} 2>/dev/null >/proc/self/autogroup || [ "$tries" -ge ${AUTOGROUP_TRIES_MAX} ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
fi
exec nice -n ${NICENESS} "$@" 9<"$0"`;

/** What bubblewrap is and where the jail keeps its own files. */
export interface BwrapHost {
  readonly bwrap: string;
  readonly dir: string;
}

/**
 * The bubblewrap command line of a jail (bubblewrap 0.8.0; measured with the CLI 2.1.330): own
 * process, network, ipc and host-name namespaces, no capabilities, a read-only system, and of the
 * host's data only what `spec` names. `program.file` outside /usr is mounted at /opt/<name>. The
 * paths of the mounts are no secret inside: /proc/self/mountinfo names them.
 * @throws JailRefusal
 */
export function bwrapCommand(
  host: BwrapHost,
  spec: JailSpec,
  program: { readonly file: string; readonly args: readonly string[] },
): JailedCommand {
  const { mounts, file } = mountProgram(program.file);
  return {
    // Its own session, and so no terminal of the service; made here, because bubblewrap's own one
    // would begin at the old niceness. Until bubblewrap sees to it itself, setpriv has it die with us.
    file: "setpriv",
    args: [
      ...["--pdeathsig", "KILL", "--", "setsid", "/bin/sh"],
      ...started(host),
      ...namespaces(),
      ...system(),
      ...jailEtc(join(host.dir, "etc"), HOME),
      ...mounts,
      ...spec.read.flatMap((path) => ["--ro-bind", path, path]),
      ...ownDirectoryMount(spec.home, HOME),
      ...cloneMounts(spec.clone, CLONE),
      ...socketMount(spec.gatewaySocket, GATEWAY_SOCKET),
      ...socketMount(spec.egressSocket, EGRESS_SOCKET),
      // The root itself is a writable tmpfs until here. /proc as well: bubblewrap 0.8.0 looks at the
      // mode of /proc/sys only, and root without capabilities may still write kernel settings below.
      ...["--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"],
      ...["--chdir", CLONE, "--"],
      ...["/bin/sh", "-c", BRIDGE, "jail"],
      spec.gatewaySocket === null ? "" : String(GATEWAY_PORT),
      spec.egressSocket === null ? "" : String(EGRESS_PORT),
      file,
      ...program.args,
    ],
    env: {
      ...spec.env,
      ...proxies(spec.egressSocket),
      HOME,
      PATH: searchPath(spec.read),
      TMPDIR: "/tmp",
    },
    cwd: "/",
    inside: { clone: CLONE, home: HOME, gatewayUrl: `http://127.0.0.1:${GATEWAY_PORT}` },
  };
}

/** The beginning of the command line, up to bubblewrap's own first argument. */
function started(host: BwrapHost): readonly string[] {
  const filter = seccompFilter(process.arch);
  const path = join(host.dir, "seccomp.bpf");
  mkdirSync(host.dir, { recursive: true, mode: 0o700 });
  keepFile(path, filter ?? "");
  const argument = filter === null ? [] : ["--seccomp", "9"];
  return ["-c", WITH_FILTER, path, host.bwrap, ...argument];
}

function namespaces(): readonly string[] {
  return [
    "--die-with-parent",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-net",
    // Root needs no user namespace, and containers often refuse one; everybody else does.
    ...(process.getuid?.() === 0 ? [] : ["--unshare-user"]),
    ...["--hostname", "agent", "--cap-drop", "ALL"],
  ];
}

function system(): readonly string[] {
  return [
    ...["--ro-bind", "/usr", "/usr"],
    ...["bin", "sbin", "lib", "lib32", "lib64", "libx32"].flatMap(rootDirectory),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--size", String(SHARED_MEMORY_BYTES_MAX), "--tmpfs", "/dev/shm"],
    ...["--size", String(TMP_BYTES_MAX), "--tmpfs", "/tmp"],
    ...["--size", String(RUN_BYTES_MAX), "--tmpfs", "/run"],
  ];
}

/** /bin and its like: links into /usr on today's systems, directories on older ones. */
function rootDirectory(name: string): readonly string[] {
  const path = `/${name}`;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  return found.isSymbolicLink()
    ? ["--symlink", readlinkSync(path), path]
    : ["--ro-bind", path, path];
}

/** A program under /usr is there already; any other one (the CLI) gets a place of its own. */
function mountProgram(file: string): { mounts: readonly string[]; file: string } {
  if (!file.startsWith("/") || /^\/(usr|bin|sbin)\//.test(file)) return { mounts: [], file };
  const inside = `/opt/${basename(file)}`;
  const real = existsSync(file) ? realpathSync(file) : file;
  return { mounts: ["--ro-bind", real, inside], file: inside };
}

const socketMount = (socket: string | null, inside: string): readonly string[] =>
  socket === null ? [] : ["--bind", socket, inside];

function proxies(egressSocket: string | null): Readonly<Record<string, string>> {
  if (egressSocket === null) return {};
  const proxy = `http://127.0.0.1:${EGRESS_PORT}`;
  const direct = "127.0.0.1,localhost,::1";
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    NO_PROXY: direct,
    http_proxy: proxy,
    https_proxy: proxy,
    no_proxy: direct,
  };
}
