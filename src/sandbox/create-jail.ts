import type { Jail } from "../ports/jail.ts";
import { bwrapCommand } from "./bwrap-command.ts";
import { checkBwrap, checkPlain } from "./check-jail.ts";
import { plainCommand } from "./plain-command.ts";

/** What the jail is built from. */
export interface JailOptions {
  /** `bwrap`: behind walls. `none`: only tied to the life of the service. */
  readonly mode: "bwrap" | "none";
  /** A directory of the service for the jail's own small files (`/etc/passwd` and the like). */
  readonly dir: string;
  /** The bubblewrap program; another value only where it is not in PATH. */
  readonly bwrap?: string;
}

/** Builds the jail of this installation. Nothing is touched before its first use. */
export function createJail({ mode, dir, bwrap = "bwrap" }: JailOptions): Jail {
  if (mode === "none") {
    return { mode, command: plainCommand, check: checkPlain };
  }
  const jail: Omit<Jail, "check"> = {
    mode,
    command: (spec, file, args) => bwrapCommand({ bwrap, dir }, spec, { file, args }),
  };
  return { ...jail, check: () => checkBwrap(jail, dir) };
}
