import { stringify } from "yaml";
import type { Config } from "./config.ts";

/**
 * The effective configuration as a document: every default filled in, the state directory as it
 * holds, secrets as references and never as values.
 */
export function effectiveDocument(config: Config): Readonly<Record<string, unknown>> {
  return { ...config.document, state_dir: config.stateDir };
}

/** The same as YAML, with the file it came from in its first line. */
export function showConfig(config: Config): string {
  return `# ${config.file}\n${stringify(effectiveDocument(config), { lineWidth: 100 })}`;
}
