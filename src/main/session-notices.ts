import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { ConfigNotice } from "../config/problem.ts";
import { StoreFailure } from "../ports/store/failure.ts";
import { readPrefixes } from "../store/read-prefixes.ts";
import { prefixNotices } from "./prefixes.ts";

/**
 * What this configuration changes for sessions that are there already, read from the state directory's
 * SQLite database if there is one; nothing is written. Of PostgreSQL only the service itself tells. A database that cannot be read is a notice, too.
 */
export function sessionNotices(config: Config): readonly ConfigNotice[] {
  if (config.database !== null) return [];
  try {
    return prefixNotices(config, readPrefixes(join(config.stateDir, "claude-hooks.db")) ?? []);
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error;
    return [{ key: "state_dir", message: `sessions could not be looked at: ${error.message}` }];
  }
}
