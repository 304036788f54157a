import type { ConfigPlace } from "./find-config.ts";
import { type ConfigRefused, readConfig } from "./read-config.ts";
import { readSecret, type Secret } from "./secret.ts";

/** What a client of the admin API needs: where the service keeps its state, and the token. */
export type AdminClientAccess =
  | {
      readonly ok: true;
      readonly stateDir: string;
      /** Null: the token file does not exist, so no service has ever been started. */
      readonly token: Secret | null;
    }
  | ConfigRefused;

/** Reads the configuration but none of its secrets except the admin token. */
export async function loadAdminAccess(place: ConfigPlace): Promise<AdminClientAccess> {
  const read = await readConfig(place);
  if (!read.ok) {
    return read;
  }
  const { document, file, secretSource, stateDir, written } = read.value;
  const token = await readSecret(secretSource(document.admin.token), place.env);
  if (token.ok) {
    return { ok: true, stateDir, token: token.secret };
  }
  if (token.missing) {
    return { ok: true, stateDir, token: null };
  }
  const line = written.lineOf(["admin", "token"]);
  const problem = { key: "admin.token", value: token.value, remedy: token.remedy, line };
  return { ok: false, file, problems: [problem] };
}
