import { ForgeFailure, type ForgeFailureKind } from "../ports/forge.ts";
import type { Audit, Log } from "../ports/observe.ts";

/** An account of ours that could change the rules of a repository. */
interface Administrator {
  readonly repo: string;
  readonly agent: string;
}

/** Which of our accounts are administrators; asked of the forge, with each agent's own token. */
export interface Administrators {
  /**
   * Names of the agents that administrate the repository now; the answer is kept for ten minutes.
   * Throws ForgeFailure when the forge does not say.
   */
  of(repo: string): Promise<readonly string[]>;
  /** What is known by now. */
  known(): readonly Administrator[];
}

const KEPT_MS = 10 * 60_000;
const REPOSITORIES_MAX = 1_000;
/** The forge has answered and said nothing of rights: a token that may not even see the repository has none. */
const NO_RIGHTS: readonly ForgeFailureKind[] = ["not_found", "forbidden", "refused", "malformed"];

/**
 * An administrator can switch the protection of branches off, and a merge by one may pass it by
 * (Forgejo: models/perm/access). The service never asks for such a merge, but whoever had the
 * agent's token could; so it is said in the log, the audit and the status.
 */
export function createAdministrators(parts: {
  readonly agents: () => readonly { readonly name: string }[];
  /** Whether the agent's account administrates the repository. Throws ForgeFailure. */
  readonly isAdministrator: (agent: string, repo: string) => Promise<boolean>;
  readonly now: () => number;
  readonly log: Log;
  readonly audit: Audit;
}): Administrators {
  const { agents, isAdministrator, now, log, audit } = parts;
  const kept = new Map<string, { readonly at: number; readonly names: readonly string[] }>();

  return {
    of: async (repo) => {
      const before = kept.get(repo);
      const age = before === undefined ? KEPT_MS : now() - before.at;
      if (before !== undefined && age >= 0 && age < KEPT_MS) return before.names;
      const names: string[] = [];
      for (const { name } of agents()) if (await asked(name, repo)) names.push(name);
      if (kept.size >= REPOSITORIES_MAX) kept.clear();
      kept.set(repo, { at: now(), names });
      if (names.join() !== (before?.names ?? []).join()) tell(repo, names);
      return names;
    },
    known: () =>
      [...kept].flatMap(([repo, { names }]) =>
        names.map((agent): Administrator => ({ repo, agent })),
      ),
  };

  async function asked(agent: string, repo: string): Promise<boolean> {
    try {
      return await isAdministrator(agent, repo);
    } catch (error) {
      if (error instanceof ForgeFailure && NO_RIGHTS.includes(error.kind)) return false;
      throw error;
    }
  }

  function tell(repo: string, names: readonly string[]): void {
    audit.append("administrators", { repo, agents: names });
    if (names.length === 0) log.info("no agent is an administrator any more", { repo });
    else log.warn(administratorReason(repo, names), { repo });
  }
}

/** What is wrong, and what to do about it. */
function administratorReason(repo: string, names: readonly string[]): string {
  return `${names.join(", ")} must not be an administrator of ${repo}: give the account write access only`;
}
