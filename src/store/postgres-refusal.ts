import { StoreFailure } from "../ports/store/failure.ts";

/** The oldest version that is tested. */
const VERSION_MIN = 15;

/** What the address says, without its password. */
interface Place {
  readonly host: string;
  readonly user: string;
  readonly database: string;
}

/** The place an address names, for messages: never a password. An address that is none gives question marks. */
export function placeOf(address: string): Place {
  const url = URL.canParse(address) ? new URL(address) : null;
  const socket = url?.searchParams.get("host") ?? "";
  const user = decodeURIComponent(url?.username ?? "") || (url?.searchParams.get("user") ?? "");
  return {
    host: url?.host || socket || "this host",
    user: user || "the service's user",
    database: decodeURIComponent(url?.pathname.slice(1) ?? "") || user || "?",
  };
}

/** Why the database cannot be used, in one sentence with the remedy; `error` is what `pg` threw. */
export function openRefusal(address: string, error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error;
  const code = codeOf(error);
  const words = error instanceof Error ? error.message : String(error);
  const sentence = REFUSALS[code] ?? REFUSALS[code.slice(0, 2)] ?? unreachable;
  return new StoreFailure("open", `database: ${sentence(placeOf(address), words)}`, {
    cause: error,
  });
}

/** What failed for a user who may not make tables: the first failure of several hides the reason. */
export function rightsRefusal(address: string, error: unknown): StoreFailure {
  const words = "it may not create anything in the schema public";
  return new StoreFailure("open", `database: ${noRights(placeOf(address), words)}`, {
    cause: error,
  });
}

/** Null when the server is new enough; `version` as `server_version_num` gives it (150018 is 15.18). */
export function versionRefusal(address: string, version: number): StoreFailure | null {
  const major = Math.floor(version / 10_000);
  if (major >= VERSION_MIN) return null;
  const { host } = placeOf(address);
  return new StoreFailure(
    "open",
    `database: PostgreSQL at ${host} has version ${major}, at least ${VERSION_MIN} is needed: upgrade it`,
  );
}

type Sentence = (place: Place, words: string) => string;

const unreachable: Sentence = ({ host }, words) =>
  `PostgreSQL at ${host} cannot be used: ${words}; start it, and look at host and port of the address`;

const wrongPassword: Sentence = ({ host, user }, words) =>
  `PostgreSQL at ${host} does not let ${user} in: ${words}; put the address with the right password into a file and write database: { file: … }, or look at pg_hba.conf`;

const noRights: Sentence = ({ user, database }, words) =>
  `${user} may not make or use the tables of ${database}: ${words}; make it the owner (alter database ${database} owner to ${user})`;

/** By SQLSTATE, by its class, or by the code of the system's error (postgresql.org, appendix A). */
const REFUSALS: Readonly<Record<string, Sentence>> = {
  "28": wrongPassword,
  "42501": noRights,
  "3D000": ({ host, user, database }) =>
    `PostgreSQL at ${host} has no database ${database}: make it (createdb --owner=${user} ${database})`,
  "53300": ({ host }) =>
    `PostgreSQL at ${host} has no connection left: raise max_connections; each process takes up to 11`,
  "25006": ({ host }) =>
    `PostgreSQL at ${host} only reads (a standby?): name the server that takes writes`,
};

/** The client itself says that it was asked for a password and has none. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if (/password must be a string|no password supplied/iu.test(error.message)) return "28P01";
  return "code" in error ? String(error.code) : "";
}
