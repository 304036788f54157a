import { z } from "zod";
import { JsonFailure, parseJson } from "../json/parse.ts";
import { type ModelCredential, OAUTH_BETA } from "./forward.ts";

/** What the model's server says when it is asked for its models, which costs nothing. */
export type ModelAnswer =
  | { readonly kind: "accepted" }
  /** 401: the credential. */
  | { readonly kind: "refused"; readonly words: string }
  /** 404: this server does not list models, or (asked for one) does not have it. */
  | { readonly kind: "not_found" }
  | { readonly kind: "redirected"; readonly place: string }
  /** Any other status: it says nothing about the credential. */
  | { readonly kind: "other"; readonly status: number; readonly words: string }
  | { readonly kind: "unreachable"; readonly words: string };

const ANSWER_BYTES_MAX = 1_048_576;
const WORDS_MAX = 200;
/** The list of models, or one of them: whatever else answers 200 is no model's server. */
const ModelsRow = z.object({ data: z.array(z.unknown()) });
const ModelRow = z.object({ id: z.string(), type: z.literal("model") });
const ErrorRow = z.object({ error: z.object({ message: z.string() }) });

/**
 * Asks the model's server for its list of models, or for one of them by name (aliases count), with
 * the real credential. Follows no redirect, so that the credential reaches no other host. Never throws
 * for what a server or network does.
 */
export async function askModel(options: {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly credential: ModelCredential;
  readonly model: string | null;
  readonly timeoutMs: number;
}): Promise<ModelAnswer> {
  const { baseUrl, credential, model, timeoutMs } = options;
  const which = model === null ? "?limit=1" : `/${encodeURIComponent(model)}`;
  const proof =
    credential.kind === "api_key"
      ? { "x-api-key": credential.value }
      : { authorization: `Bearer ${credential.value}`, "anthropic-beta": OAUTH_BETA };
  try {
    const response = await fetch(`${baseUrl}/v1/models${which}`, {
      headers: { "anthropic-version": "2023-06-01", accept: "application/json", ...proof },
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    return await read(response, model === null ? ModelsRow : ModelRow);
  } catch (error) {
    return { kind: "unreachable", words: wordsOf(error) };
  }
}

async function read(response: Response, wanted: z.ZodType): Promise<ModelAnswer> {
  const { status } = response;
  if (status >= 300 && status < 400) {
    await response.body?.cancel();
    const place = response.headers.get("location") ?? "nowhere";
    return { kind: "redirected", place: place.slice(0, WORDS_MAX) };
  }
  const body = jsonOf(await textOf(response));
  const words = messageOf(body);
  if (status >= 200 && status < 300 && wanted.safeParse(body).success) {
    return { kind: "accepted" };
  }
  if (status === 401) return { kind: "refused", words };
  if (status === 404) return { kind: "not_found" };
  return { kind: "other", status, words };
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_BYTES_MAX) return "";
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonFailure) return null;
    throw error;
  }
}

function messageOf(body: unknown): string {
  const parsed = ErrorRow.safeParse(body);
  return parsed.success ? parsed.data.error.message.slice(0, WORDS_MAX) : "";
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  if (error.name === "TimeoutError") return "it does not answer in time";
  return "code" in error ? String(error.code) : error.name;
}
