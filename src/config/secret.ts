import { readFile, stat } from "node:fs/promises";
import type { SecretReference } from "./schema-leaves.ts";

/** Where a secret comes from, with the path made absolute; kept so that a reload can read it again. */
export type SecretSource = SecretReference;

/**
 * A secret value that cannot be printed by accident: text, JSON and inspection show only
 * `[secret N bytes]`. `reveal` is the one way to the value; call it where the value is used.
 */
export class Secret {
  readonly source: SecretSource;
  readonly #value: string;

  constructor(value: string, source: SecretSource) {
    this.#value = value;
    this.source = source;
  }

  /** Length of the value in bytes of UTF-8. */
  get bytes(): number {
    return Buffer.byteLength(this.#value);
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return `[secret ${this.bytes} bytes]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

/** A secret that was read, or what is wrong with its file or variable. */
export type SecretRead =
  | { readonly ok: true; readonly secret: Secret; readonly worldReadable: boolean }
  /** `missing`: there is no such file (a created one may take its place). */
  | {
      readonly ok: false;
      readonly missing: boolean;
      readonly value: string;
      readonly remedy: string;
    };

const SECRET_BYTES_MAX = 65_536;

/**
 * Reads a secret from its file or variable and trims it. A failure names where it was looked for,
 * never what was found there. The value must be one line of at least one character.
 */
export async function readSecret(
  source: SecretSource,
  env: Readonly<Record<string, string | undefined>>,
): Promise<SecretRead> {
  if ("env" in source) {
    const text = env[source.env];
    const where = `the variable ${source.env}`;
    if (text === undefined) {
      return failure(`${where}, which is not set`, "set it for the service, or name a file");
    }
    return check(text, where, source, false);
  }
  return await readSecretFile(source);
}

async function readSecretFile(source: { readonly file: string }): Promise<SecretRead> {
  const where = `the file ${source.file}`;
  try {
    const facts = await stat(source.file);
    if (!facts.isFile()) {
      return failure(`${where}, which is not a regular file`, "name a regular file");
    }
    if (facts.size > SECRET_BYTES_MAX) {
      return failure(
        `${where} of ${facts.size} bytes`,
        `a secret has at most ${SECRET_BYTES_MAX} bytes; is this the right file?`,
      );
    }
    if ((facts.mode & 0o002) !== 0) {
      return failure(
        `${where}, which everybody on this host can write`,
        "chmod 600 it, and put a new secret into it",
      );
    }
    const bytes = await readFile(source.file);
    const text = new TextDecoder("utf-8", { fatal: false }).decode(bytes);
    return check(text, where, source, (facts.mode & 0o007) !== 0);
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      return failure(`${where}, which does not exist`, "create it with the secret in it", true);
    }
    return failure(
      `${where}, which cannot be read (${code})`,
      "make it readable for the user the service runs as",
    );
  }
}

function check(
  text: string,
  where: string,
  source: SecretSource,
  worldReadable: boolean,
): SecretRead {
  const value = text.trim();
  const bytes = Buffer.byteLength(value);
  if (value === "") {
    return failure(`${where}, which is empty`, "put the secret into it");
  }
  if (/[\p{Cc}\uFFFD]/u.test(value)) {
    return failure(
      `${where} with ${bytes} bytes in several lines or with control characters`,
      "keep the secret alone on one line",
    );
  }
  return { ok: true, secret: new Secret(value, source), worldReadable };
}

function failure(value: string, remedy: string, missing = false): SecretRead {
  return { ok: false, missing, value, remedy };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
