/** One answer of the REST API. `body` is undefined when there was none or it was not JSON. */
export type Answer = { status: number; body: unknown; text: string; headers: Headers };

/** How a call proves who it is. */
export type Credential =
  | { kind: "token"; token: string }
  | { kind: "bearer"; token: string }
  | { kind: "basic"; user: string; password: string }
  | { kind: "none" };

const CALL_TIMEOUT_MS = 30_000;

/** Calls the API; `path` begins after /api/v1. */
export async function callForge(
  url: string,
  credential: Credential,
  { method, path, body }: { method: string; path: string; body?: unknown },
): Promise<Answer> {
  const authorization = authorizationOf(credential);
  const response = await fetch(`${url}/api/v1${path}`, {
    method,
    redirect: "manual",
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    headers: {
      Accept: "application/json",
      ...(authorization === undefined ? {} : { Authorization: authorization }),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: parse(text), text, headers: response.headers };
}

/** @returns the value at a path such as `head.repo.id` or `0.user.login`, else undefined. */
export function at(value: unknown, path: string): unknown {
  let current: unknown = value;
  for (const key of path.split(".")) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, key);
  }
  return current;
}

/** @returns the value as a list; what is none (also null) is an empty one. */
export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function authorizationOf(credential: Credential): string | undefined {
  switch (credential.kind) {
    case "token":
      return `token ${credential.token}`;
    case "bearer":
      return `Bearer ${credential.token}`;
    case "basic": {
      const pair = `${credential.user}:${credential.password}`;
      return `Basic ${Buffer.from(pair).toString("base64")}`;
    }
    case "none":
      return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
