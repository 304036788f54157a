import type { Config } from "../config/config.ts";
import type { Redactor } from "../observe/redactor.ts";
import type { LearningScan } from "../observe/secret-scan.ts";
import type { Jail } from "../ports/jail.ts";
import type { Log } from "../ports/observe.ts";
import type { PromptFiles } from "../run/prompt-files.ts";
import type { Replaced } from "./replaced.ts";

/** What a start has found to be in order before anything is opened. */
export interface ServiceStart {
  readonly config: Config;
  readonly prompts: PromptFiles;
  readonly jail: Jail;
  readonly log: Log;
  /** Takes secrets out of what people are shown. */
  readonly redactor: Redactor;
  /** Knows the secrets that no text of an agent may carry out. */
  readonly secrets: LearningScan;
  readonly replaced: Replaced;
}
