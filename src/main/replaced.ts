import type { ForgeClient } from "../forge/create-forge.ts";
import type { Processes } from "../ports/jail.ts";
import type { Store } from "../ports/store.ts";

/**
 * What a program that is not ours may put in the place of a part: the chaos test's own entry gives a
 * stub for the CLI, and takes one defence away to show that its counters bite. Only a caller of
 * `serve` can say this; no flag, variable or key of the configuration reaches it.
 */
export interface Replaced {
  /** Path of the program that is started in the CLI's place, in the same jail. */
  readonly binary?: string;
  readonly store?: (store: Store) => Store;
  readonly forge?: (forge: ForgeClient) => ForgeClient;
  readonly processes?: (processes: Processes) => Processes;
}
