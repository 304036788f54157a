import type { z } from "zod";
import { createBodyReader } from "../intake/body-reader.ts";
import { isPlainJson } from "../intake/headers.ts";
import { JsonFailure, parseJson } from "../json/parse.ts";

/** The largest body of the admin API, bytes. */
const BODY_BYTES = 64 * 1024;
const BODY_MS = 10_000;
const OPEN_BYTES = 4 * 1024 * 1024;
/** An unknown key is named in the message, however long it is. */
const ERROR_CHARS = 300;

/** A body as text, or what is wrong with it. */
export type TextReading =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly error: string };

/** A checked body, or what is wrong with it: the field by its path, never its value. */
export type JsonReading<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: string };

/** Makes the one function that reads a body of the admin API, at most 64 KiB within 10 s. */
export function createTextReader(): (request: Request) => Promise<TextReading> {
  const read = createBodyReader({
    bodyBytes: BODY_BYTES,
    bodyMs: BODY_MS,
    openBytes: OPEN_BYTES,
  });
  return async (request) => {
    const body = await read(request);
    return body.ok
      ? { ok: true, text: new TextDecoder().decode(body.bytes) }
      : { ok: false, error: `body: ${BODY_ERRORS[body.why]}` };
  };
}

const BODY_ERRORS = {
  too_large: `larger than ${BODY_BYTES} bytes`,
  too_slow: "did not arrive in time",
  too_many: "too many at once, try again",
  gone: "ended early",
} as const;

/**
 * Reads a JSON body of the type the schema wants. The content type must be JSON, which no form of
 * another page can send; only a request without body may leave it out and means `{}`.
 */
export async function readJsonBody<T>(
  request: Request,
  schema: z.ZodType<T>,
  read: (request: Request) => Promise<TextReading>,
): Promise<JsonReading<T>> {
  const body = await read(request);
  if (!body.ok) {
    return body;
  }
  const isEmpty = body.text === "" && !request.headers.has("content-type");
  if (!isEmpty && !isPlainJson(request.headers)) {
    return { ok: false, error: "Content-Type: must be application/json" };
  }
  try {
    const result = schema.safeParse(isEmpty ? {} : parseJson(body.text));
    if (result.success) {
      return { ok: true, value: result.data };
    }
    const [issue] = result.error.issues;
    const field = issue === undefined || issue.path.length === 0 ? "body" : issue.path.join(".");
    return {
      ok: false,
      error: `${field}: ${issue?.message ?? "wrong shape"}`.slice(0, ERROR_CHARS),
    };
  } catch (error) {
    if (error instanceof JsonFailure) {
      return { ok: false, error: "body: not valid JSON" };
    }
    throw error;
  }
}
