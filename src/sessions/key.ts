/** What a key must name is not a name; `value` is what was given. */
export class SessionKeyFailure extends Error {
  override readonly name = "SessionKeyFailure";
  readonly kind: "agent" | "repo" | "number" | "key" | "session";
  readonly value: string;

  constructor(kind: SessionKeyFailure["kind"], value: string, rule: string) {
    super(`${kind}: ${JSON.stringify(value.slice(0, 200))} ${rule}`);
    this.kind = kind;
    this.value = value;
  }
}

/**
 * The key of one agent's session about one work item, e.g. `boss:acme/widgets#42`; the repository is
 * put in lower case, as forges do not tell cases apart. Throws SessionKeyFailure naming the value
 * that is no agent (`[a-z0-9][a-z0-9-]{0,31}`), no `owner/name` or no positive whole number.
 */
export function sessionKey(agent: string, repo: string, number: number): string {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(agent)) {
    throw new SessionKeyFailure(
      "agent",
      agent,
      "is no agent: use its key in the configuration, 1 to 32 of a-z, 0-9 and -, not beginning with -",
    );
  }
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new SessionKeyFailure(
      "number",
      String(number),
      "is no number of an issue or pull request: use a whole number from 1",
    );
  }
  return `${agent}:${repositoryName(repo)}#${number}`;
}

/** `owner/name` in lower case. Throws SessionKeyFailure for anything else, also for `.` and `..` as a part. */
export function repositoryName(repo: string): string {
  const part = /^[A-Za-z0-9._-]{1,100}$/;
  const parts = repo.split("/");
  const isSafe = parts.every((name) => part.test(name) && !/^\.+$/.test(name));
  if (parts.length !== 2 || !isSafe) {
    throw new SessionKeyFailure(
      "repo",
      repo,
      "is no repository: use owner/name of A-Z, a-z, 0-9, dot, underscore and hyphen",
    );
  }
  return repo.toLowerCase();
}

/** The parts of a key as `sessionKey` makes it, any case of the repository allowed. Throws SessionKeyFailure. */
export function parseSessionKey(key: string): {
  readonly key: string;
  readonly agent: string;
  readonly repo: string;
  readonly number: number;
} {
  const match = /^([^:]*):([^#]*)#([1-9][0-9]{0,15})$/.exec(key);
  if (match === null) {
    throw new SessionKeyFailure(
      "key",
      key,
      "is no session key: use <agent>:<owner>/<repo>#<number>",
    );
  }
  const [, agent = "", repo = "", digits = ""] = match;
  const number = Number(digits);
  return { key: sessionKey(agent, repo, number), agent, repo: repositoryName(repo), number };
}

/** Checks that a session id is a plain word: it becomes part of a path and of a command line. Throws SessionKeyFailure. */
export function checkSessionId(sessionId: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(sessionId)) return;
  throw new SessionKeyFailure(
    "session",
    sessionId,
    "is no session id: use 1 to 128 of A-Z, a-z, 0-9, _ and -, beginning with a letter or digit",
  );
}
