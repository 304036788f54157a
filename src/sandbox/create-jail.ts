import { createHash } from "node:crypto";
import { mkdirSync, statSync } from "node:fs";
import type { Jail, JailSpec } from "../ports/jail.ts";
import { bwrapCommand } from "./bwrap-command.ts";
import { checkBwrap, checkPlain } from "./check-jail.ts";
import { plainCommand } from "./plain-command.ts";

const TAG = "CLAUDE_HOOKS_JAIL";

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
  let known: string | null = null;
  const value = (): string => {
    known ??= tagOf(dir);
    return known;
  };
  const tagged = (spec: JailSpec): JailSpec => ({ ...spec, env: { ...spec.env, [TAG]: value() } });
  const command: Jail["command"] = (spec, file, args) =>
    mode === "none"
      ? plainCommand(tagged(spec), file, args)
      : bwrapCommand({ bwrap, dir }, tagged(spec), { file, args });
  return {
    mode,
    get tag() {
      return `${TAG}=${value()}`;
    },
    command,
    check: async () => await (mode === "none" ? checkPlain() : checkBwrap({ command }, dir)),
  };
}

/**
 * By the directory itself and not by its path: a service in a container, whose processes this host
 * sees, too, may have another directory under the same path, and ours may be reached by several.
 */
function tagOf(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { dev, ino } = statSync(dir, { bigint: true });
  return createHash("sha256").update(`${dev} ${ino}`).digest("hex").slice(0, 32);
}
