import { z } from "zod";

/** What `{ file: PATH }` and `{ env: NAME }` look like in the document: never the secret itself. */
export type SecretReference = { readonly file: string } | { readonly env: string };

/** A secret: by reference only. `description` says what it is for. */
export function secret(description: string) {
  return z
    .union(
      [
        z.strictObject({ file: z.string().min(1).max(4096).regex(NO_NUL) }),
        z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/) }),
      ],
      {
        error:
          "a secret is never written here: put it into a file or a variable and write { file: PATH } or { env: NAME }",
      },
    )
    .describe(description);
}

/** A path of this host; relative ones count from the directory of the configuration file. */
export function path(description: string) {
  return z
    .string({ error: "write the path of a file or directory" })
    .min(1, { error: "write a path, or null where the key allows it" })
    .max(4096, { error: "write at most 4096 characters" })
    .regex(NO_NUL, { error: "leave out the NUL character" })
    .describe(description);
}

/** `host:port`, the host of IPv6 in brackets, port 0 to 65535; see `parseListen`. */
export function listen(description: string) {
  return z
    .string({ error: "write host:port, e.g. 127.0.0.1:8080" })
    .regex(/^(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253}):\d{1,5}$/, {
      error: "write host:port, e.g. 127.0.0.1:8080 or [::1]:8080",
    })
    .refine((text) => Number(text.slice(text.lastIndexOf(":") + 1)) <= 65_535, {
      error: "write a port from 0 (any free one) to 65535",
    })
    .describe(description);
}

/** An http or https address with nothing behind its path, and without credentials in it. */
export function httpUrl(description: string) {
  return z
    .string({ error: "write an address such as https://git.example.org" })
    .max(2000)
    .refine(isPlainHttpUrl, {
      error:
        "write an http:// or https:// address without user name, password, query or fragment, e.g. https://git.example.org",
    })
    .describe(description);
}

/** One line of text without control characters; `what` says what to write. */
export function line(max: number, what: string) {
  return z
    .string({ error: `write ${what}` })
    .max(max, { error: `write at most ${max} characters` })
    .refine((text) => text.trim() !== "" && !CONTROL.test(text), { error: `write ${what}` });
}

/** A login, or `login#id`: the account with this number alone. No wildcards: they would let strangers in unseen. */
export function login() {
  return line(100, "a login").refine((text) => /^[^*?#\s]+(#[1-9]\d{0,15})?$/.test(text), {
    error:
      "write a login or login#id; there are no wildcards: dangerously_allow_anyone: true lets everybody in, and agents then only read",
  });
}

/** Where commands may reach: `host`, `host:port`, `*.suffix` or `[v6]:port` (without port 443 and 80). */
export function host(what: string) {
  return z
    .string({ error: `write ${what}` })
    .max(260)
    .regex(HOST_ENTRY, { error: `write ${what}` })
    .refine((text) => Number(/:(\d+)$/.exec(text)?.[1] ?? 1) <= 65_535, {
      error: "write a port from 1 to 65535",
    });
}

/** A whole number within bounds. */
export function count(min: number, max: number, description: string) {
  return z
    .int({ error: `write a whole number from ${min} to ${max}` })
    .min(min, { error: `write a whole number from ${min} to ${max}` })
    .max(max, { error: `write a whole number from ${min} to ${max}` })
    .describe(description);
}

/** A positive number that need not be whole: times and sizes. */
export function duration(max: number, description: string) {
  return z
    .number({ error: `write a number above 0 and at most ${max}` })
    .positive({ error: `write a number above 0 and at most ${max}` })
    .max(max, { error: `write a number above 0 and at most ${max}` })
    .describe(description);
}

/** A positive amount of US dollars. */
export function usd(description: string) {
  return duration(1_000_000, description);
}

const HOST_ENTRY =
  /^(\[[0-9A-Fa-f:.]{2,45}\]|(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*)(:[1-9]\d{0,4})?$/;
const CONTROL = /\p{Cc}/u;
const NO_NUL = /^[^\0]*$/;

function isPlainHttpUrl(text: string): boolean {
  if (!URL.canParse(text) || CONTROL.test(text)) {
    return false;
  }
  const url = new URL(text);
  return (
    /^https?:$/.test(url.protocol) &&
    url.username === "" &&
    url.password === "" &&
    url.search === "" &&
    url.hash === ""
  );
}
