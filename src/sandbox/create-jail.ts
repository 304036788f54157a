import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { Jail, JailSpec } from "../ports/jail.ts";
import { bwrapCommand } from "./bwrap-command.ts";
import { checkBwrap, checkPlain } from "./check-jail.ts";
import { plainCommand } from "./plain-command.ts";

const MARK = "CLAUDE_HOOKS_JAIL";

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
  const value = createHash("sha256").update(resolve(dir)).digest("hex").slice(0, 32);
  const mark = `${MARK}=${value}`;
  const marked = (spec: JailSpec): JailSpec => ({ ...spec, env: { ...spec.env, [MARK]: value } });
  if (mode === "none") {
    const command: Jail["command"] = (spec, file, args) => plainCommand(marked(spec), file, args);
    return { mode, mark, command, check: checkPlain };
  }
  const jail: Omit<Jail, "check"> = {
    mode,
    mark,
    command: (spec, file, args) => bwrapCommand({ bwrap, dir }, marked(spec), { file, args }),
  };
  return { ...jail, check: () => checkBwrap(jail, dir) };
}
