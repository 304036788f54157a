import type { Account } from "../domain/snapshot.ts";
import type { Forge, ForgeReader } from "../ports/forge.ts";
import type { Log } from "../ports/observe.ts";
import { createActor } from "./actor.ts";
import { type Caller, createCalls, PRIORITY } from "./calls.ts";
import { accountOf } from "./map.ts";
import { apiOf, repoPath } from "./paths.ts";
import { createReader } from "./reader.ts";
import { RepoRow, rowsOf, UserRow } from "./schema.ts";

interface ForgeAgent {
  /** Key in the configuration. */
  readonly name: string;
  readonly login: string;
  /** Asked at each call, so that a rotated token is picked up. */
  readonly token: () => string;
}

/** Which forge, and by whose tokens it is asked. */
export interface ForgeOptions {
  /** Where the forge is: http(s), without credentials; a path is kept. */
  readonly url: string;
  /** The families this client speaks to; it treats them alike, what they do not share is optional. */
  readonly kind: "forgejo" | "gitea";
  readonly agents: readonly ForgeAgent[];
  /** Name of the agent whose token reads snapshots. */
  readonly readerAgent: string;
  /** PEM text of the authority of the forge's certificate. */
  readonly ca?: string | null;
  readonly now: () => number;
  readonly requestsPerSecond?: number;
  readonly timeoutMs?: number;
  readonly log: Log;
}

/** The port `Forge`, and the same reads for the sweep, which wait behind all others. */
export interface ForgeClient extends Forge {
  readonly sweepReader: ForgeReader;
  /** Whether an agent's account may change the settings of a repository. Throws ForgeFailure. */
  readonly isAdministrator: (agent: string, repo: string) => Promise<boolean>;
}

const REQUESTS_PER_SECOND = 10;
const TIMEOUT_MS = 15_000;
const WRITERS_MS = 60_000;
const WRITERS_REPOSITORIES_MAX = 1_000;

/**
 * A typed client for Forgejo and Gitea, which differ only in what the schemas already allow.
 * @throws Error for a URL that is not http(s) or carries credentials, or an unknown reader.
 */
export function createForge(options: ForgeOptions): ForgeClient {
  const { agents, now, log } = options;
  let clockOffset = 0;
  const calls = createCalls({
    exchange: {
      api: apiOf(options.url),
      ca: options.ca ?? null,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
      now,
      onClock: (offsetMs) => {
        clockOffset = offsetMs;
      },
    },
    requestsPerSecond: options.requestsPerSecond ?? REQUESTS_PER_SECOND,
    log,
  });
  const agentOf = (name: string): ForgeAgent => {
    const agent = agents.find((one) => one.name === name);
    if (agent === undefined) throw new Error(`no agent named ${name} is configured`);
    return agent;
  };
  const readerToken = agentOf(options.readerAgent).token;
  const writers = createWriters(calls(readerToken, PRIORITY.read), now);
  const readerWith = (priority: number): ForgeReader =>
    createReader({
      caller: calls(readerToken, priority),
      asAgent: (name) => calls(agentOf(name).token, priority),
      writers,
      now,
      clockOffset: () => clockOffset,
    });
  return {
    reader: readerWith(PRIORITY.read),
    sweepReader: readerWith(PRIORITY.sweep),
    isAdministrator: async (name, repo) => {
      const row = await calls(agentOf(name).token, PRIORITY.read).get(repoPath(repo), RepoRow);
      return row.permissions?.admin === true;
    },
    actor: (name) => {
      const agent = agentOf(name);
      return createActor(calls(agent.token, PRIORITY.write), agent.login);
    },
  };
}

/**
 * Who has write access: GET /assignees lists them for any reader, while the permission of one
 * collaborator is shown to administrators only (Forgejo: routers/api/v1/repo/collaborators.go).
 * Kept for a minute per repository; a failed answer is not kept.
 */
function createWriters(
  caller: Caller,
  now: () => number,
): (repo: string) => Promise<readonly Account[]> {
  const known = new Map<string, { readonly at: number; readonly accounts: readonly Account[] }>();
  return async (repo) => {
    const kept = known.get(repo);
    const age = kept === undefined ? WRITERS_MS : now() - kept.at;
    if (kept !== undefined && age >= 0 && age < WRITERS_MS) return kept.accounts;
    const rows = await caller.get(repoPath(repo, "assignees"), rowsOf(UserRow));
    const accounts = rows.map(accountOf);
    if (known.size >= WRITERS_REPOSITORIES_MAX) known.clear();
    known.set(repo, { at: now(), accounts });
    return accounts;
  };
}
