import { isAbsolute, normalize } from "node:path";
import type { ConfigProblem } from "./problem.ts";
import { Secret } from "./secret.ts";

/** Parameters of an address that this service passes on; others are more likely typing errors. */
const PARAMETERS: readonly string[] = [
  "host",
  "port",
  "user",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "options",
];

/** Those that name a file of this host. */
const FILES: readonly string[] = ["sslrootcert", "sslcert", "sslkey"];

const EXAMPLE = "postgres://claude_hooks@db.example.org/claude_hooks";

/**
 * What is wrong with the address of a database, or null. `inline`: it stands in the configuration
 * file itself, where no password may be. The problem never quotes the address.
 */
export function databaseProblem(
  address: string,
  inline: boolean,
): Pick<ConfigProblem, "value" | "remedy"> | null {
  const value = `an address of ${address.length} characters`;
  if (!URL.canParse(address)) {
    return { value, remedy: `write ${EXAMPLE}, with special characters as %XX` };
  }
  const url = new URL(address);
  const { searchParams } = url;
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    return {
      value: `an address that begins with ${url.protocol}`,
      remedy: `only PostgreSQL is spoken: ${EXAMPLE}`,
    };
  }
  if (inline && (url.password !== "" || searchParams.has("password"))) {
    return {
      value: "an address with a password in it",
      remedy: "put the whole address into a file and write database: { file: secrets/database }",
    };
  }
  if (url.pathname.length < 2 || url.pathname.slice(1).includes("/")) {
    return {
      value: "an address without the name of one database",
      remedy: `end it with that name: ${EXAMPLE}`,
    };
  }
  const relative = FILES.find((name) =>
    searchParams.getAll(name).some((file) => !isAbsolute(file)),
  );
  if (relative !== undefined) {
    return {
      value: `an address whose ${relative} is no absolute path`,
      remedy: "write the whole path of the file, beginning with /",
    };
  }
  const unknown = [...searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown === undefined || (!inline && unknown === "password")) return null;
  return {
    value: `an address with the parameter ${unknown}`,
    remedy: `leave it out; known are ${PARAMETERS.join(", ")}`,
  };
}

/**
 * Paths of this host by which an address reaches the database: its key and certificates, and the
 * directory of the server's socket. Whoever sees them is nearer to the database than agents may be.
 */
export function databaseFiles(address: string): readonly string[] {
  if (!URL.canParse(address)) return [];
  const { hostname, searchParams } = new URL(address);
  const named = FILES.flatMap((name) => searchParams.getAll(name));
  const hosts = [decodeURIComponent(hostname), ...searchParams.getAll("host")];
  return [...named, ...hosts].filter((path) => isAbsolute(path)).map((path) => normalize(path));
}

/** What of an address must never be printed: all of it, and its password as it is and as it is written. */
export function databaseSecrets(address: Secret): readonly Secret[] {
  const text = address.reveal();
  if (!URL.canParse(text)) return [address];
  const url = new URL(text);
  const written = url.password || (url.searchParams.get("password") ?? "");
  if (written === "") return [];
  const { source } = address;
  return [address, new Secret(written, source), new Secret(decodeURIComponent(written), source)];
}
