import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A directory for one test that is gone afterwards: `await using directory = await tempDirectory()`. */
export interface TempDirectory extends AsyncDisposable {
  readonly path: string;
  /** Writes a file below it, parents included, readable for its owner only. */
  write(name: string, content: string | Uint8Array): Promise<string>;
}

export async function tempDirectory(): Promise<TempDirectory> {
  const path = await mkdtemp(join(tmpdir(), "claude-hooks-test-"));
  return {
    path,
    write: async (name, content) => {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content, { mode: 0o600 });
      await chmod(file, 0o600);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** The secrets the fixture's configuration refers to, by file name below `secrets/`. */
export const FIXTURE_SECRETS: Readonly<Record<string, string>> = {
  webhook: "webhook-secret-0001",
  boss: "boss-token-0002-abcdef",
  reviewer: "reviewer-token-0003",
  anthropic: "model-key-0004-abcdef",
};

/** The smallest configuration with two agents and one repository; a test changes what it is about. */
export function fixtureDocument(): Record<string, unknown> {
  return {
    forge: { url: "http://127.0.0.1:3000" },
    webhook: { secrets: [{ file: "secrets/webhook" }] },
    state_dir: "state",
    model: { api_key: { file: "secrets/anthropic" } },
    agents: {
      boss: { login: "boss", token: { file: "secrets/boss" }, skills: ["implement"] },
      reviewer: { login: "rev", token: { file: "secrets/reviewer" }, skills: ["review"] },
    },
    repositories: [{ name: "acme/widgets", autonomy: "propose" }],
    allow_root: true,
  };
}

/** A copy of the fixture with values set by dotted path (`agents.boss.login`, `repositories.0.name`); undefined removes. */
export function fixtureWith(changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const document = fixtureDocument();
  for (const [path, value] of Object.entries(changes)) {
    const parts = path.split(".");
    const last = parts.pop() ?? "";
    let place = document;
    for (const part of parts) {
      place[part] ??= {};
      place = place[part] as Record<string, unknown>;
    }
    if (value === undefined) {
      delete place[last];
    } else {
      place[last] = value;
    }
  }
  return document;
}

/** Writes `claude-hooks.yaml` (JSON is YAML) and the secrets into the directory; resolves with its path. */
export async function writeFixture(
  directory: TempDirectory,
  document: unknown = fixtureDocument(),
): Promise<string> {
  for (const [name, value] of Object.entries(FIXTURE_SECRETS)) {
    await directory.write(`secrets/${name}`, `${value}\n`);
  }
  return await directory.write("claude-hooks.yaml", JSON.stringify(document, null, 2));
}
