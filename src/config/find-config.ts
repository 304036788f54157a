import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";

/** The environment of the process, with the variables that are looked up by name. */
interface Environment {
  readonly [name: string]: string | undefined;
  readonly CLAUDE_HOOKS_CONFIG?: string | undefined;
  readonly CLAUDE_HOOKS_STATE_DIR?: string | undefined;
  readonly XDG_CONFIG_HOME?: string | undefined;
}

/** Where to look from: the environment and places come in, so that nothing here reads the process. */
export interface ConfigPlace {
  /** What `--config` said, or null. */
  readonly explicitPath: string | null;
  readonly env: Environment;
  readonly cwd: string;
  readonly home: string;
}

/** The file to read; else where it was looked for, and by which word or variable it was named (null: by none). */
export type FoundConfig =
  | { readonly ok: true; readonly file: string }
  | { readonly ok: false; readonly searched: readonly string[]; readonly named: string | null };

/**
 * The file to read: `--config`, then CLAUDE_HOOKS_CONFIG (either must exist once it is named), then
 * the first that exists of ./claude-hooks.yaml, $XDG_CONFIG_HOME/claude-hooks/config.yaml
 * (~/.config without that variable) and /etc/claude-hooks/config.yaml.
 */
export async function findConfig(place: ConfigPlace): Promise<FoundConfig> {
  const named = place.explicitPath ?? nonEmpty(place.env.CLAUDE_HOOKS_CONFIG);
  if (named !== null) {
    const file = resolve(place.cwd, named);
    return (await isFile(file))
      ? { ok: true, file }
      : {
          ok: false,
          searched: [file],
          named: place.explicitPath === null ? "CLAUDE_HOOKS_CONFIG" : "--config",
        };
  }
  const configHome = nonEmpty(place.env.XDG_CONFIG_HOME) ?? join(place.home, ".config");
  const searched = [
    join(place.cwd, "claude-hooks.yaml"),
    join(configHome, "claude-hooks", "config.yaml"),
    "/etc/claude-hooks/config.yaml",
  ];
  for (const file of searched) {
    if (await isFile(file)) {
      return { ok: true, file };
    }
  }
  return { ok: false, searched, named: null };
}

function nonEmpty(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}

/** Also true for a file that cannot be read: reading it then says why. */
async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (error instanceof Error && "code" in error) {
      return error.code === "EACCES";
    }
    throw error;
  }
}
