import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { z } from "zod";
import { isLoopback } from "../config/listen.ts";
import { loadAdminAccess } from "../config/load-admin-access.ts";
import { JsonFailure, parseJson } from "../json/parse.ts";
import { type CliContext, CliFailure } from "./context.ts";
import { refusedConfig } from "./refused-config.ts";

/** The admin API of the running service. A path begins with `/`; an answer without body is null. */
export interface AdminApi {
  get(path: string): Promise<unknown>;
  post(path: string, body: Readonly<Record<string, unknown>>): Promise<unknown>;
}

const TIMEOUT_MS = 30_000;
const ANSWER_BYTES_MAX = 33_554_432;

const ServeFile = z.object({ pid: z.number(), admin: z.string() });
const ErrorBody = z.object({ error: z.string() });

/**
 * Finds the running service by `serve.json` in the state directory and the admin token of the
 * configuration. Throws CliFailure: exit code 2 for a configuration that does not hold, 1 when no
 * service is running or it refuses.
 */
export async function connect(context: CliContext, configPath?: string): Promise<AdminApi> {
  const access = await loadAdminAccess({ ...context, explicitPath: configPath ?? null });
  if (!access.ok) {
    throw refusedConfig(access);
  }
  const file = join(access.stateDir, "serve.json");
  const { pid, admin } = await readServeFile(file);
  const { token } = access;
  if (token === null) {
    throw new CliFailure("no service is running: its admin token does not exist");
  }
  const call = async (method: "GET" | "POST", path: string, body?: string) => {
    const answer = await send({ url: admin + path, method, token: token.reveal(), body }, () =>
      noAnswer(admin, file, pid),
    );
    return accept(answer);
  };
  return {
    get: (path) => call("GET", path),
    post: (path, body) => call("POST", path, JSON.stringify(body)),
  };
}

async function readServeFile(file: string): Promise<z.output<typeof ServeFile>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") {
      throw new CliFailure(
        `no service is running: ${file} does not exist (start one with: claude-hooks serve)`,
        { cause: error },
      );
    }
    throw new CliFailure(`${file} cannot be read: ${String(error)}`, { cause: error });
  }
  const parsed = ServeFile.safeParse(parseOrNull(text));
  // The token goes to this address, so it must be one of this machine.
  if (!parsed.success || !isLoopbackUrl(parsed.data.admin)) {
    throw new CliFailure(
      `${file} is not one a service has written: remove it and start the service again`,
    );
  }
  return parsed.data;
}

function isLoopbackUrl(text: string): boolean {
  return URL.canParse(text) && /^http:/.test(text) && isLoopback(new URL(text).hostname);
}

function noAnswer(admin: string, file: string, pid: number): CliFailure {
  return new CliFailure(
    `no service is running: nothing answers at ${admin} (${file} was left by process ${pid})`,
  );
}

interface Call {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly token: string;
  readonly body: string | undefined;
}

interface ApiAnswer {
  readonly status: number;
  readonly text: string;
}

/**
 * One request by node:http and not by fetch, which would send it, token and all, through the proxy
 * that HTTP_PROXY names (measured with Bun 1.4.5, also for 127.0.0.1).
 */
function send(call: Call, refused: () => CliFailure): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${call.token}`,
      accept: "application/json",
      ...(call.body === undefined
        ? {}
        : {
            "content-type": "application/json",
            "content-length": String(Buffer.byteLength(call.body)),
          }),
    };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const outgoing = request(call.url, { method: call.method, headers, signal }, (incoming) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        chunks.push(chunk);
        if (bytes > ANSWER_BYTES_MAX) {
          incoming.destroy(new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`));
        }
      });
      incoming.on("error", reject);
      incoming.on("end", () => {
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") });
      });
    });
    outgoing.on("error", (error: Error & { code?: string }) => {
      const gone = ["ECONNREFUSED", "ConnectionRefused"].includes(error.code ?? "");
      reject(gone ? refused() : new CliFailure(describe(error, call), { cause: error }));
    });
    outgoing.end(call.body);
  });
}

function describe(error: Error, call: Call): string {
  return signalled(error)
    ? `the service did not answer ${call.method} ${call.url} within ${TIMEOUT_MS / 1000} s`
    : `the service could not be asked: ${error.message}`;
}

function signalled(error: Error): boolean {
  return error.name === "AbortError" || error.name === "TimeoutError";
}

function accept(answer: ApiAnswer): unknown {
  const body = answer.text === "" ? null : parseOrNull(answer.text);
  if (answer.status >= 200 && answer.status < 300) {
    return body;
  }
  const error = ErrorBody.safeParse(body);
  const words = error.success ? error.data.error : "no reason given";
  const remedy =
    answer.status === 401
      ? " (admin.token of the configuration is not the token the service started with)"
      : "";
  throw new CliFailure(`the service answered ${answer.status}: ${words}${remedy}`);
}

function parseOrNull(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonFailure) {
      return null;
    }
    throw error;
  }
}
