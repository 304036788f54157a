import type { JailedCommand, JailSpec } from "../ports/jail.ts";
import { NICENESS } from "./bwrap-command.ts";
import { searchPath } from "./search-path.ts";

/**
 * A command without a sandbox: it sees the host as the service's user does. All that is left of
 * the jail is that it dies with the service (measured with the CLI 2.1.330: a SIGTERM as the
 * parent-death signal ends the CLI and its tools, while SIGKILL would leave the tools alive).
 */
export function plainCommand(spec: JailSpec, file: string, args: readonly string[]): JailedCommand {
  return {
    file: "nice",
    args: ["-n", String(NICENESS), "setpriv", "--pdeathsig", "TERM", "--", file, ...args],
    env: { ...spec.env, HOME: spec.home, PATH: searchPath(spec.read) },
    cwd: spec.clone,
    inside: { clone: spec.clone, home: spec.home, gatewayUrl: null },
  };
}
