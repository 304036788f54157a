import { readFile, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { explainIssues } from "./explain-issues.ts";
import { type ConfigPlace, findConfig } from "./find-config.ts";
import type { ConfigProblem } from "./problem.ts";
import { readYaml, type YamlDocument } from "./read-yaml.ts";
import { ConfigDocument } from "./schema.ts";
import type { SecretReference } from "./schema-leaves.ts";
import type { SecretSource } from "./secret.ts";

/** A file that has the right form; nothing it refers to was looked at yet. */
export interface ConfigFile {
  readonly file: string;
  readonly document: ConfigDocument;
  /** The file as parsed: to tell what was written from what is a default, and in which line. */
  readonly written: YamlDocument;
  readonly stateDir: string;
  /** Makes a path of the document absolute: `~/` is the home, the rest is relative to the file. */
  readonly path: (text: string) => string;
  readonly secretSource: (reference: SecretReference) => SecretSource;
}

/** A configuration that does not hold: every problem that could be found at once. */
export interface ConfigRefused {
  readonly ok: false;
  /** The file, or null when none was found. */
  readonly file: string | null;
  readonly problems: readonly ConfigProblem[];
}

/** The file in form, or why it is refused. */
export type ConfigFileResult = { readonly ok: true; readonly value: ConfigFile } | ConfigRefused;

/** Finds, parses and checks the form of the configuration. Reads that one file and nothing else. */
export async function readConfig(place: ConfigPlace): Promise<ConfigFileResult> {
  const found = await findConfig(place);
  if (!found.ok) {
    return { ok: false, file: null, problems: [notFound(found.named, found.searched)] };
  }
  const { file } = found;
  const bytes = await readBytes(file);
  if (typeof bytes === "string") {
    const remedy =
      "make it readable for the user the service runs as, and writable for nobody else";
    const problem = { key: "file", value: `not readable (${bytes})`, remedy, line: null };
    return { ok: false, file, problems: [problem] };
  }
  const yaml = readYaml(bytes);
  if (!yaml.ok) {
    return { ok: false, file, problems: yaml.problems };
  }
  const parsed = ConfigDocument.safeParse(yaml.document.value);
  if (!parsed.success) {
    return { ok: false, file, problems: explainIssues(parsed.error.issues, yaml.document) };
  }
  const path = (text: string) => absolute(text, dirname(file), place.home);
  const value = {
    file,
    document: parsed.data,
    written: yaml.document,
    stateDir: stateDirOf(parsed.data, path, place),
    path,
    secretSource: (reference: SecretReference) =>
      "file" in reference ? { file: path(reference.file) } : reference,
  };
  return { ok: true, value };
}

function notFound(named: string | null, searched: readonly string[]): ConfigProblem {
  const remedy =
    named === null
      ? "write one (docs/configuration.md), or name it with --config FILE"
      : `mend the path that ${named} names`;
  return { key: "file", value: `not found (looked at ${searched.join(", ")})`, remedy, line: null };
}

async function readBytes(file: string): Promise<Uint8Array | string> {
  try {
    // It names commands that are run: whoever can write it is the service.
    if (((await stat(file)).mode & 0o002) !== 0) return "everybody on this host can write it";
    return await readFile(file);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

function absolute(text: string, directory: string, home: string): string {
  if (text === "~" || text.startsWith("~/")) {
    return join(home, text.slice(1));
  }
  return isAbsolute(text) ? resolve(text) : resolve(directory, text);
}

function stateDirOf(
  document: ConfigDocument,
  path: (text: string) => string,
  place: ConfigPlace,
): string {
  const named = place.env.CLAUDE_HOOKS_STATE_DIR;
  if (named !== undefined && named !== "") {
    return resolve(place.cwd, named);
  }
  return document.state_dir === null
    ? join(place.home, ".local", "state", "claude-hooks")
    : path(document.state_dir);
}
