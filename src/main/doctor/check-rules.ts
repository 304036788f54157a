import type { RepositoryConfig } from "../../config/config.ts";
import type { ForgeInspector, ProtectionFacts } from "../../forge/inspect-forge.ts";
import type { KnownAgent } from "./check-agents.ts";
import { ask, type Finding } from "./finding.ts";
import { type Tried, tried } from "./tried.ts";

/** Any number will do: a pattern is for all of them. */
const SOME_ISSUE = 1;
const TOKEN_NEEDED = "give --admin-token-file a token of somebody who administrates the repository";

/** The rules of branch protection, which only an administrator of the repository may read. */
export async function checkRules(
  { pattern: repo, policy }: RepositoryConfig,
  {
    known,
    admin,
  }: { readonly known: readonly KnownAgent[]; readonly admin: ForgeInspector | null },
): Promise<readonly Finding[]> {
  const question = ask("repository.rules", "do the protection's rules let the agents work?", {
    repo,
  });
  if (admin === null) {
    return [question.unchecked("only an administrator may read the rules", TOKEN_NEEDED)];
  }
  const [rules, base] = await Promise.all([
    tried(async () => await admin.protections(repo)),
    tried(async () => await admin.branch(repo, policy.base)),
  ]);
  if (!rules.ok) return [question.unchecked(unreadable(rules), TOKEN_NEEDED)];
  const name = base.ok ? base.value.rule : "";
  const rule = rules.value.find((one) => one.rule === (name === "" ? policy.base : name));
  const problems = [
    ...(rule === undefined ? [] : baseFindings(rule, known, question)),
    ...rules.value.flatMap((one) => branchFindings(one, known, question)),
  ];
  return problems.length > 0
    ? problems
    : [question.ok(`${rules.value.length} rule(s), none of them in the way`)];
}

/** Why an administrator's token did not help. */
export function unreadable(answer: Extract<Tried<unknown>, { ok: false }>): string {
  const isRefused = ["auth", "forbidden", "not_found"].includes(answer.failure.kind);
  const words = isRefused ? "the token of --admin-token-file does not administrate it" : "";
  return words === "" ? answer.words : `${words} (${answer.words})`;
}

type Question = ReturnType<typeof ask>;

function baseFindings(
  rule: ProtectionFacts,
  known: readonly KnownAgent[],
  question: Question,
): readonly Finding[] {
  const findings: Finding[] = [];
  const { approvers } = rule;
  if (approvers !== null && !rule.namesTeams) {
    const missing = known
      .filter(({ agent }) => agent.skills.includes("review"))
      .map(({ agent }) => agent.login)
      .filter((login) => !approvers.includes(login.toLowerCase()));
    if (missing.length > 0) {
      findings.push(
        question.problem(
          `the rule ${rule.rule} does not count approvals of ${missing.join(", ")}`,
          "put them on its list of those whose approvals count, or switch the list off",
        ),
      );
    }
  }
  if (rule.mustBeUpToDate) {
    findings.push(
      question.warning(
        `the rule ${rule.rule} blocks branches that are behind; the skill update-branch is not built`,
        "switch that off, or bring such branches up to date by hand",
      ),
    );
  }
  return findings;
}

/** A pattern such as `**` is a rule for the branches of agents, too. */
function branchFindings(
  rule: ProtectionFacts,
  known: readonly KnownAgent[],
  question: Question,
): readonly Finding[] {
  const glob = new Bun.Glob(rule.rule);
  return known
    .filter(({ agent }) => glob.match(`${agent.name}/${SOME_ISSUE}`))
    .filter(({ agent }) => {
      if (!rule.allowsPush) return true;
      const { pushers } = rule;
      return pushers !== null && !rule.namesTeams && !pushers.includes(agent.login.toLowerCase());
    })
    .map(({ agent }) =>
      question.problem(
        `the rule ${rule.rule} forbids ${agent.login} to push its branches ${agent.name}/…`,
        `let the rule leave out ${agent.name}/*, or let ${agent.login} push there`,
      ),
    );
}
