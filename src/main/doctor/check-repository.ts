import type { RepositoryConfig } from "../../config/config.ts";
import type { Account } from "../../domain/snapshot.ts";
import type { ForgeInspector, RepositoryFacts } from "../../forge/inspect-forge.ts";
import type { KnownAgent } from "./check-agents.ts";
import { checkBase } from "./check-base.ts";
import { checkHooks, type HookTarget } from "./check-hooks.ts";
import { checkRules } from "./check-rules.ts";
import { ask, type Finding } from "./finding.ts";
import { type Tried, tried } from "./tried.ts";

const UNTOLD = "the forge does not tell the account's rights";

/** What a repository is asked with. */
export interface RepositoryParts {
  readonly known: readonly KnownAgent[];
  /** With an administrator's token, or null without one. */
  readonly admin: ForgeInspector | null;
  readonly hookTarget: HookTarget;
}

/** All questions about one repository that is named in full. */
export async function checkRepository(
  repository: RepositoryConfig,
  parts: RepositoryParts,
): Promise<readonly Finding[]> {
  const repo = repository.pattern;
  const looks = await Promise.all(
    parts.known.map(async (one) => ({
      one,
      answer: await tried(async () => await one.inspector.repository(repo)),
    })),
  );
  const seeing = looks.flatMap(({ one, answer }) =>
    answer.ok ? [{ ...one, facts: answer.value }] : [],
  );
  const first = seeing[0];
  const access = looks.flatMap(({ one, answer }) => accessFindings(repo, one, answer));
  // A forge that is silent is asked no more than once.
  if (first === undefined && access.length > 0 && access.every(isUnchecked)) return access;
  return [
    ...access,
    ...(first === undefined
      ? []
      : [
          settingsFinding(repository, first.facts),
          ...(await assignable(repo, parts.known, first.inspector)),
          await checkBase(repository, seeing),
        ]),
    ...(await checkRules(repository, parts)),
    ...(await checkHooks(repository, parts)),
  ];
}

const isUnchecked = ({ state }: Finding): boolean => state === "not_checked";

function accessFindings(
  repo: string,
  { agent }: KnownAgent,
  answer: Tried<RepositoryFacts>,
): readonly Finding[] {
  const about = { agent: agent.name, repo };
  const access = ask("repository.access", "has the agent's account write access?", about);
  const give = `give ${agent.login} write access to ${repo}, and its token the scopes write:repository and write:issue`;
  if (!answer.ok) {
    const isThere = !["unavailable", "rate_limited"].includes(answer.failure.kind);
    return [
      isThere
        ? access.problem(`${agent.login} cannot see ${repo} (${answer.words})`, give)
        : access.unchecked(answer.words, "ask again later"),
    ];
  }
  const { mayPush, mayAdminister } = answer.value;
  const rights = ask("repository.administrator", "is the account no administrator?", about);
  return [
    mayPush === null
      ? access.unchecked(UNTOLD)
      : mayPush
        ? access.ok(`${agent.login} may write to ${repo}`)
        : access.problem(
            `${agent.login} may only read ${repo}: it cannot be assigned, and its reviews do not count`,
            give,
          ),
    mayAdminister === null
      ? rights.unchecked(UNTOLD)
      : mayAdminister
        ? rights.problem(
            `${agent.login} administrates ${repo}: no run of any agent begins there`,
            `give ${agent.login} write access only`,
          )
        : rights.ok(`${agent.login} does not administrate ${repo}`),
  ];
}

function settingsFinding(
  { pattern: repo, policy }: RepositoryConfig,
  facts: RepositoryFacts,
): Finding {
  const question = ask("repository.settings", "do the repository's settings allow the work?", {
    repo,
  });
  const { autonomy, mergeStyle } = policy;
  if (facts.isArchived) {
    return question.problem(
      `${repo} is archived: nothing can be written there`,
      "unarchive it, or take it out of repositories",
    );
  }
  if (facts.hasPulls === false) {
    return question.problem(`${repo} has no pull requests`, "switch them on in its settings");
  }
  if (autonomy === "merge" && facts.allows[mergeStyle] === false) {
    return question.problem(
      `${repo} does not allow merge_style ${mergeStyle}`,
      "allow it in its settings, or name another style",
    );
  }
  if (facts.hasIssues === false) {
    return question.warning(
      `${repo} has no issues`,
      "switch them on, or let agents only review there",
    );
  }
  return question.ok(
    `${repo} takes issues, pull requests and, where it comes to that, ${mergeStyle}`,
  );
}

/** Who may be assigned is who has write access; our agents are known by login and number together. */
async function assignable(
  repo: string,
  known: readonly KnownAgent[],
  inspector: ForgeInspector,
): Promise<readonly Finding[]> {
  const answer = await tried(async () => await inspector.writers(repo));
  return known.map(({ agent, id }) => {
    const about = { agent: agent.name, repo };
    const question = ask("repository.assignable", "may the agent be assigned?", about);
    if (!answer.ok) return question.unchecked(answer.words);
    const row: Account | undefined = answer.value.find(
      ({ login }) => login.toLowerCase() === agent.login.toLowerCase(),
    );
    if (row === undefined) {
      return question.problem(
        `${repo} does not list ${agent.login} among those who may be assigned`,
        `give ${agent.login} write access to ${repo}`,
      );
    }
    return id === null || id === row.id
      ? question.ok(`${repo} lists ${row.login}`)
      : question.problem(
          `${row.login} in ${repo} is account ${row.id}, the token is of account ${id}`,
          `make a token of the account that is ${row.login} now`,
        );
  });
}
